"""Small leaves of a direction are drawn beforehand, and together.

For biases, scales and stacks of them a draw of its own costs compile time, and where it is used (in
the body of a loop over layers, for every token) more time than the few numbers deserve.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from zojax._hold import keep
from zojax._typing import Key
from zojax.directions._bent import Bent
from zojax.directions._cut import cutter
from zojax.directions._drawn import Drawn
from zojax.directions._factors import Factors
from zojax.directions._laws import Law, draw_arrays
from zojax.directions._rows import Rows
from zojax.directions._sum import Sum

# Biases, scales and stacks of them hold about this share of the entries of a transformer.
_SHARE = 1 / 256
_LEAST = 1 << 14


def dense_recipes(law: Law, keys: Key, shapes: Sequence[tuple[int, ...]]) -> tuple[Rows, ...]:
    """One recipe for each leaf, `keys` being theirs."""
    cut, generator = cutter(jax.random.key_data(keys)), jax.random.key_impl(keys)
    each = [jax.random.wrap_key_data(cut(i, 1)[0], impl=generator) for i in range(len(shapes))]
    return tuple(Rows.of(shape, key, law) for shape, key in zip(shapes, each, strict=True))


def drawn_together(direction: tuple, shapes: Sequence[tuple[int, ...]]) -> tuple:
    """One direction with its small leaves drawn, and kept.

    Args:
      direction: recipes of whole leaves.
      shapes: of all leaves.
    """
    recipes = list(direction)
    small = _small(shapes)
    places = [place for place in small if _rows_of(recipes[place]) is not None]
    drawn = _draw_small([recipes[i] for i in places], [shapes[i] for i in places])
    for place, z in zip(places, drawn, strict=True):
        recipes[place] = _with_drawn(recipes[place], Drawn(z), shapes[place])
    for place in small:
        if isinstance(recipes[place], Factors):
            recipes[place] = Drawn(_multiplied_out(recipes[place], shapes[place]))
    return tuple(recipes)


def sum_of_small(
    coefficients: jax.Array, directions: tuple, shapes: Sequence[tuple[int, ...]]
) -> dict[int, jax.Array]:
    """Σ_k coefficients[k] z_k of the small dense leaves, by place; one query after another."""
    places = [place for place in _small(shapes) if isinstance(directions[place], Rows)]
    if not places:
        return {}
    inside = [shapes[place] for place in places]
    dtype = jnp.promote_types(coefficients.dtype, jnp.float32)

    def terms(k: jax.Array | int) -> list[jax.Array]:
        one = jax.tree.map(lambda array: array[k], tuple(directions[place] for place in places))
        return [coefficients[k].astype(dtype) * z for z in _draw_small(one, inside)]

    def add(k: jax.Array, totals: list[jax.Array]) -> list[jax.Array]:
        return [total + term for total, term in zip(totals, terms(k), strict=True)]

    zeros = [jnp.zeros(shape, dtype) for shape in inside]
    count = coefficients.shape[0]
    totals = terms(0) if count == 1 else jax.lax.fori_loop(0, count, add, zeros)
    return dict(zip(places, totals, strict=True))


def _small(shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """The places of the smallest leaves, up to a share of all entries."""
    sizes = [math.prod(shape) for shape in shapes]
    rest = max(_SHARE * sum(sizes), _LEAST)
    places = []
    for place in sorted(range(len(sizes)), key=sizes.__getitem__):
        rest -= sizes[place]
        if rest < 0:
            break
        if sizes[place]:
            places.append(place)
    return sorted(places)


def _draw_small(recipes: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[jax.Array]:
    """The dense noise of each recipe, all of it drawn side by side."""
    rows = [_rows_of(recipe) for recipe in recipes]
    drawn = list(rows)
    for law in dict.fromkeys(one.law for one in rows):
        places = [place for place, one in enumerate(rows) if one.law == law]
        keys = jnp.stack([rows[place].key for place in places])
        arrays = draw_arrays(law, keys, [shapes[place] for place in places])
        for place, z in zip(places, arrays, strict=True):
            drawn[place] = rows[place].scale * z
    return drawn


def _multiplied_out(factors: Factors, shape: tuple[int, ...]) -> jax.Array:
    return keep(lambda factors: factors.draw(shape), factors, factors.left)


def _rows_of(recipe: Any) -> Rows | None:
    """The dense noise in a recipe."""
    if isinstance(recipe, Sum):
        return next((part for part in recipe.parts if isinstance(part, Rows)), None)
    if isinstance(recipe, Bent):
        return recipe.noise
    return recipe if isinstance(recipe, Rows) else None


def _with_drawn(recipe: Rows | Sum | Bent, drawn: Drawn, shape: tuple[int, ...]) -> Drawn | Sum:
    """The recipe with its dense noise replaced."""
    if isinstance(recipe, Rows):
        return drawn
    if isinstance(recipe, Bent):
        bent = dataclasses.replace(recipe, noise=drawn)
        return Drawn(keep(lambda bent: bent.draw(shape), bent, drawn.z))
    return Sum(tuple(drawn if isinstance(part, Rows) else part for part in recipe.parts))
