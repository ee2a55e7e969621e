"""Small leaves of a direction are drawn beforehand, and together.

For biases, scales and stacks of them a draw of its own costs compile time, and where it is used (in
the body of a loop over layers, for every token) more time than the few numbers deserve.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._dtypes import wide
from zojax._schedule import make_after
from zojax.noise import draw_arrays
from zojax.recipes._deflated import Deflated
from zojax.recipes._dense import Dense
from zojax.recipes._flipped import Flipped
from zojax.recipes._low_rank import LowRank
from zojax.recipes._masked import Masked
from zojax.recipes._precomputed import Precomputed
from zojax.recipes._preconditioned import Preconditioned
from zojax.recipes._recipe import query
from zojax.recipes._sum import Sum

_MadeOfNoise = Deflated | Flipped | Masked | Preconditioned


def draw_small_leaves(direction: tuple, shapes: Sequence[tuple[int, ...]]) -> tuple:
    """One direction with its small leaves drawn, and kept.

    Args:
      direction: recipes of whole leaves.
      shapes: of all leaves.
    """
    recipes = list(direction)
    small = _small(shapes)
    noises = {place: _noises_of(recipes[place]) for place in small}
    drawn = iter(
        _draw_small(
            [noise for place in small for noise in noises[place]],
            [shapes[place] for place in small for _ in noises[place]],
        )
    )
    for place in small:
        if parts := [Precomputed(next(drawn)) for _ in noises[place]]:
            recipes[place] = _with_drawn(recipes[place], parts, shapes[place])
    for place in small:
        if isinstance(recipes[place], LowRank):
            recipes[place] = Precomputed(_multiplied_out(recipes[place], shapes[place]))
    return tuple(recipes)


def sum_small_leaves(
    coefficients: jax.Array, directions: tuple, shapes: Sequence[tuple[int, ...]]
) -> dict[int, jax.Array]:
    """Σ_k coefficients[k] z_k of the small dense leaves, by place; one query after another."""
    places = [place for place in _small(shapes) if isinstance(directions[place], Dense)]
    if not places:
        return {}
    inside = [shapes[place] for place in places]
    dtype = wide(coefficients.dtype)

    def terms(k: jax.Array | int) -> list[jax.Array]:
        one = query(tuple(directions[place] for place in places), k)
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
    rest = max(_thresholds.SMALL_LEAVES_SHARE * sum(sizes), _thresholds.LEAST_SMALL_LEAVES)
    places = []
    for place in sorted(range(len(sizes)), key=sizes.__getitem__):
        rest -= sizes[place]
        if rest < 0:
            break
        if sizes[place]:
            places.append(place)
    return sorted(places)


def _draw_small(rows: Sequence[Dense], shapes: Sequence[tuple[int, ...]]) -> list[jax.Array]:
    """The noise of each recipe, all of it drawn side by side."""
    drawn: list[Any] = list(rows)
    for law in dict.fromkeys(one.law for one in rows):
        places = [place for place, one in enumerate(rows) if one.law == law]
        keys = jnp.stack([rows[place].key for place in places])
        arrays = draw_arrays(law, keys, [shapes[place] for place in places])
        for place, z in zip(places, arrays, strict=True):
            drawn[place] = rows[place].scale * z
    return drawn


@functools.partial(jax.jit, static_argnames="shape")  # traced once for all leaves that are alike
def _multiplied_out(factors: LowRank, shape: tuple[int, ...]) -> jax.Array:
    return make_after(lambda factors: factors.draw(shape), factors, factors.left)


def _noises_of(recipe: Any) -> list[Dense]:
    """The dense noise in a recipe; a sum may have several parts of it."""
    if isinstance(recipe, Sum):
        return [part for part in recipe.parts if isinstance(part, Dense)]
    noise = recipe.noise if isinstance(recipe, _MadeOfNoise) else recipe
    return [noise] if isinstance(noise, Dense) else []


def _with_drawn(
    recipe: Dense | Sum | _MadeOfNoise,
    drawn: list[Precomputed],
    shape: tuple[int, ...],
) -> Precomputed | Sum:
    """The recipe with its dense noise replaced."""
    if isinstance(recipe, Dense):
        return drawn[0]
    if isinstance(recipe, _MadeOfNoise):
        whole = dataclasses.replace(recipe, noise=drawn[0])
        return Precomputed(make_after(lambda recipe: recipe.draw(shape), whole, drawn[0].z))
    rest = iter(drawn)
    return Sum(tuple(next(rest) if isinstance(part, Dense) else part for part in recipe.parts))
