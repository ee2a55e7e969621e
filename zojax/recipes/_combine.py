"""What is done with directions: their weighted sum, and dense trees of them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._dtypes import wide
from zojax._schedule import make_after, true_after, zero_after
from zojax._typing import Params
from zojax.recipes._deflated import Deflated
from zojax.recipes._deflated_sums import sum_deflated
from zojax.recipes._dense import Dense
from zojax.recipes._dense_terms import dense_terms
from zojax.recipes._low_rank import LowRank
from zojax.recipes._products import fuses_on_cpu
from zojax.recipes._recipe import Directions, Recipe, query
from zojax.recipes._small_leaves import sum_small_leaves


def materialize(direction: Directions, params: Params) -> Params:
    """The dense tree of one direction, float32: for tests and for looking at.

    Args:
      direction: one direction: recipes without a leading axis of queries.
      params: gives the structure and the shapes.
    """
    leaves, treedef = jax.tree.flatten(params)
    z = [recipe.draw(leaf.shape) for recipe, leaf in zip(direction, leaves, strict=True)]
    return treedef.unflatten(z)


def combine(
    coefficients: jax.Array, directions: Directions, params: Params, *, read_once: bool = False
) -> Params:
    """Returns Σ_k coefficients[k] z_k, a tree with the shapes and dtypes of params.

    The sum is formed leaf by leaf in float32 (or wider, with wider params) and cast once. A dense
    leaf is regenerated: with one query the draw fuses into what is done with the update, with
    several they are added up one after another, so at most one dense direction of one leaf is
    alive, and its sum; the next leaf waits for it. Factored leaves are one product of rank K r.

    Args:
      coefficients: shape (K,).
      directions: K directions.
      params: gives the structure, shapes and dtypes.
      read_once: whether the program reads every sum at one place alone, as plain descent does. Sums
        of up to 12 queries then fuse into that, and large leaves need no buffer either; read
        several times (for moments), each of the 12 terms would get one.
    """
    leaves, treedef = jax.tree.flatten(params)
    together = sum_small_leaves(coefficients, directions, [leaf.shape for leaf in leaves])
    if len(coefficients) == 1:
        together |= dense_terms(coefficients, directions, leaves, without=together)
    sums: list[jax.Array] = []
    before = coefficients
    for place, (recipe, leaf) in enumerate(zip(directions, leaves, strict=True)):
        if place in together:
            sums.append(together[place].astype(leaf.dtype))
            continue
        fuses = (
            read_once
            and 1 < len(coefficients) <= _thresholds.WRITTEN_OUT_QUERIES
            and leaf.size >= _thresholds.LARGE_LEAF
        )
        # What a leaf holds while it is summed is held after that of the leaf before it.
        if isinstance(recipe, LowRank):
            total, held = _sum_factors(coefficients, recipe, leaf, before)
        elif fuses and isinstance(recipe, Dense) and _is_held(recipe, leaf, len(coefficients)):
            total, before = _sum_of_words(coefficients, recipe, leaf, before)
        else:
            total = held = sum_draws(coefficients, recipe, leaf, before, written_out=fuses)
        sums.append(total)
        if leaf.size and not fuses:
            before = held
    return treedef.unflatten(sums)


def combine_squares(coefficients: jax.Array, directions: Directions, params: Params) -> Params:
    """Returns Σ_k coefficients[k] z_k², entry by entry, a tree like params.

    With second differences for coefficients it estimates the diagonal of the Hessian: for gaussian
    directions E[zᵀHz (z² - 1)] = 2 diag(H). Formed as `combine` forms the sum of z, and as long: a
    direction that both are made of is drawn twice.

    Args:
      coefficients: shape (K,).
      directions: K directions.
      params: gives the structure, shapes and dtypes.

    Source: Ye et al., arXiv:2402.15173 (HiZOO), equation (5).
    """
    leaves, treedef = jax.tree.flatten(params)
    sums: list[jax.Array] = []
    before = coefficients
    for recipe, leaf in zip(directions, leaves, strict=True):
        sums.append(_sum_terms(coefficients, recipe, leaf, before, of_z=jnp.square))
        before = sums[-1] if leaf.size else before
    return treedef.unflatten(sums)


def sum_draws(
    coefficients: jax.Array,
    recipe: Recipe,
    leaf: jax.Array,
    before: jax.Array,
    *,
    written_out: bool = False,
) -> jax.Array:
    """Σ_k c_k z_k of a leaf by drawing each z_k; what is held is held when `before` is known.

    `written_out`, it is an expression of K terms that can fuse; else a loop, if K > 1.
    """
    if isinstance(recipe, Deflated):
        return sum_deflated(coefficients, recipe, leaf.shape, leaf.dtype, before)[0]
    return _sum_terms(coefficients, recipe, leaf, before, written_out=written_out)


def _sum_terms(
    coefficients: jax.Array,
    recipe: Recipe,
    leaf: jax.Array,
    before: jax.Array,
    *,
    of_z: Callable[[jax.Array], jax.Array] = lambda z: z,
    written_out: bool = False,
) -> jax.Array:
    """Σ_k c_k of_z(z_k) of a leaf."""
    dtype, count = wide(leaf.dtype), coefficients.shape[0]
    at_once = count if written_out else 1
    datum = before if _is_held(recipe, leaf, at_once) else None

    def term(k: jax.Array | int) -> jax.Array:
        one = query(recipe, k)
        return coefficients[k].astype(dtype) * of_z(one.draw(leaf.shape, datum).astype(dtype))

    if written_out or count == 1:
        return sum(map(term, range(count))).astype(leaf.dtype)
    none = jnp.full(leaf.shape, zero_after(dtype, before))
    total = jax.lax.fori_loop(0, count, lambda k, total: total + term(k), none)
    return total.astype(leaf.dtype)


def _is_held(recipe: Recipe, leaf: jax.Array, at_once: int) -> bool:
    """Whether what is random in so many terms of a leaf is kept until they are read.

    Few bits are small, and taking them from a buffer is far cheaper than drawing them for every
    entry; more should fuse with what is done to the sum, and never be one.
    """
    return 0 < at_once * query(recipe, 0).held_bits(leaf.shape) <= _thresholds.HELD_BITS


def _sum_of_words(
    coefficients: jax.Array, recipe: Dense, leaf: jax.Array, before: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Σ_k c_k z_k of a leaf as an expression, and what the next leaf waits for: its last words.

    A sum that fuses is no buffer to wait for, and the words of all leaves would exist at once.
    """
    dtype, total = wide(leaf.dtype), 0.0
    for k in range(len(coefficients)):
        one = query(recipe, k)
        words = one.numbers_after(leaf.shape, before)
        z = one.read(words, leaf.shape).astype(dtype)
        total = total + coefficients[k].astype(dtype) * z
    return total.astype(leaf.dtype), true_after(jax.tree.leaves(words)[0])


def _sum_factors(
    coefficients: jax.Array, factors: LowRank, leaf: jax.Array, before: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Σ_k c_k L_k R_kᵀ as one sum of rank K r; what the next leaf waits for."""

    def fused(before: jax.Array) -> tuple[jax.Array, jax.Array]:
        total = factors.weighted_sum(coefficients).written_out()
        return total.astype(leaf.dtype), true_after(before)

    def multiplied(before: jax.Array) -> tuple[jax.Array, jax.Array]:
        # A product has a buffer for its result: one leaf after another, not all at once.
        waiting = make_after(lambda c: c, coefficients, before)
        total = factors.weighted_sum(waiting).draw(leaf.shape).astype(leaf.dtype)
        return total, true_after(total)

    rank = coefficients.shape[0] * factors.left.shape[-1]
    if rank <= _thresholds.FUSED_RANK:
        return fused(before)[0], before
    if fuses_on_cpu(rank, leaf) and isinstance(coefficients, jax.core.Tracer):
        return jax.lax.platform_dependent(before, cpu=fused, default=multiplied)
    return multiplied(before)
