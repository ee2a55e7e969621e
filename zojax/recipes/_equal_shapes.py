"""Leaves of one shape are drawn side by side for the update.

A draw for each leaf is what a program of many layers takes longest to compile.
"""

import functools
import math
from collections.abc import Container, Sequence

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._dtypes import wide
from zojax._schedule import draw_after, hidden_slicer
from zojax.noise import Law
from zojax.recipes._dense import Dense
from zojax.recipes._recipe import query


def sum_equal_shapes(
    coefficients: jax.Array,
    directions: tuple,
    shapes: Sequence[tuple[int, ...]],
    *,
    without: Container[int],
) -> dict[int, jax.Array]:
    """The terms coefficients[0] z_0 of dense leaves that others are alike, by place.

    Of one query: several are summed leaf by leaf, so that not all of them are there at once.

    Args:
      coefficients: shape (K,).
      directions: K directions.
      shapes: of all leaves.
      without: places that are left out.
    """
    if coefficients.shape[0] > 1:
        return {}
    rows = {
        place: query(recipe, 0)
        for place, recipe in enumerate(directions)
        if isinstance(recipe, Dense) and place not in without
    }
    c = coefficients[0].astype(wide(coefficients.dtype))
    sums: dict[int, jax.Array] = {}
    before = coefficients
    for group in group_equal_shapes(rows, shapes):
        drawn = _draw([rows[place] for place in group], shapes[group[0]], before)
        sums |= {place: c * z for place, z in zip(group, drawn, strict=True)}
        before = sums[group[-1]]
    return sums


def group_equal_shapes(
    rows: dict[int, Dense], shapes: Sequence[tuple[int, ...]]
) -> list[list[int]]:
    """The places of the leaves that are drawn side by side; others are in no group.

    Args:
      rows: recipes of whole leaves, by place.
      shapes: of all leaves.
    """
    budget = _thresholds.EQUAL_SHAPES_SHARE * sum(map(math.prod, shapes))
    groups: dict[tuple, list[int]] = {}
    for place, recipe in rows.items():
        if 0 < 2 * _words(recipe, shapes[place]) <= budget:
            groups.setdefault((shapes[place], recipe.law), []).append(place)
    parts = []
    for (shape, _), places in groups.items():
        length = int(budget // _words(rows[places[0]], shape))
        parts += [places[first : first + length] for first in range(0, len(places), length)]
    return [part for part in parts if len(part) > 1]


def _words(recipe: Dense, shape: tuple[int, ...]) -> int:
    """Random words of a leaf: one for an entry, or for up to 32 of a row if they are packed."""
    width = shape[-1] if shape else 1
    return math.prod(shape[:-1]) * (-(-width // 32) if recipe.packed else width)


def _draw(rows: Sequence[Dense], shape: tuple[int, ...], before: jax.Array) -> list[jax.Array]:
    """Z of leaves of one shape, drawn when `before` is known."""
    count, width, law = math.prod(shape[:-1]), shape[-1] if shape else 1, rows[0].law
    keys = jnp.stack([recipe.key for recipe in rows])
    cut = hidden_slicer(_side_by_side(keys, before, law, count, width))
    return [
        (recipe.scale * law.expand(cut(i, 1)[0], width)).reshape(shape)
        for i, recipe in enumerate(rows)
    ]


@functools.partial(jax.jit, static_argnames=("law", "count", "width"))
def _side_by_side(
    keys: jax.Array, before: jax.Array, law: Law, count: int, width: int
) -> jax.Array:
    """The random numbers of as many leaves as there are keys."""

    def generate(keys: jax.Array) -> jax.Array:
        index = jnp.arange(count, dtype=jnp.int32)
        return jax.vmap(lambda key: law.generate(key, index, width))(keys)

    return draw_after(generate, keys, before)
