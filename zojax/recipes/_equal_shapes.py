"""Leaves of one shape are drawn side by side for the update.

A draw for each leaf is what a program of many layers takes longest to compile.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._schedule import draw_after, hidden_slicer
from zojax._typing import Key
from zojax.recipes._dense import Dense


def draw_equal_shapes(
    rows: dict[int, Dense], shapes: Sequence[tuple[int, ...]], before: jax.Array
) -> tuple[dict[int, jax.Array], jax.Array]:
    """Z of the leaves that others are alike, by place, and what the next draw waits for.

    Args:
      rows: recipes of whole leaves, by place.
      shapes: of all leaves.
      before: the first of them are drawn when this is known.
    """
    drawn: dict[int, jax.Array] = {}
    for group in group_equal_shapes(rows, shapes):
        each, before = _draw([rows[place] for place in group], shapes[group[0]], before)
        drawn |= zip(group, each, strict=True)
    return drawn, before


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
    """Random words of a leaf, or entries where rows are drawn one by one."""
    numbers = jax.eval_shape(lambda: recipe.numbers(shape))
    return sum(math.prod(array.shape) for array in jax.tree.leaves(numbers))


def _draw(
    rows: Sequence[Dense], shape: tuple[int, ...], before: jax.Array
) -> tuple[list[jax.Array], jax.Array]:
    """Z of leaves of one shape, drawn when `before` is known; what is held of them."""
    keys = jnp.stack([recipe.key for recipe in rows])
    numbers = _side_by_side(rows[0], keys, before, shape)
    cut = hidden_slicer(numbers)
    each = (jax.tree.map(lambda array: array[0], cut(i, 1)) for i in range(len(rows)))
    drawn = [recipe.read(own, shape) for recipe, own in zip(rows, each, strict=True)]
    return drawn, jax.tree.leaves(numbers)[0]


@functools.partial(jax.jit, static_argnames="shape")
def _side_by_side(recipe: Dense, keys: Key, before: jax.Array, shape: tuple[int, ...]) -> Any:
    """The random numbers of as many leaves as there are keys."""

    def generate(keys: Key) -> Any:
        return jax.vmap(lambda key: dataclasses.replace(recipe, key=key).numbers(shape))(keys)

    return draw_after(generate, keys, before)
