"""What a sampler is, and what is done with the directions that it draws."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zojax import _keys
from zojax._hold import keep, waiting_zero
from zojax._typing import Key, Params
from zojax.directions._alike import sum_of_alike
from zojax.directions._bent import Bent
from zojax.directions._bent_sums import sum_bent
from zojax.directions._block import Block
from zojax.directions._dense import sum_of_small
from zojax.directions._drawn import Drawn
from zojax.directions._factors import FUSED_RANK, Factors
from zojax.directions._rows import Rows
from zojax.directions._subspace import Subspace
from zojax.directions._sum import Sum

# A sum that is written out fuses with the one thing that is done to it, and needs no buffer of the
# leaf's size; but it takes longer to compile, which pays for stacks of layers and the like.
_UNROLLED = 12
_LARGE = 1 << 22

Recipe = Rows | Drawn | Factors | Sum | Bent | Block
"""How z of one leaf is made again."""

Directions = tuple[Recipe, ...]
"""One recipe for every leaf of params; where K directions are meant, every array leads with K."""


class OneByOne(NamedTuple):
    """Directions that are drawn where they are evaluated, one query (or chunk) after another.

    Attributes:
      num_queries: K.
      draw: `query -> direction`, one of the K.
    """

    num_queries: int
    draw: Callable[[jax.Array], Directions]


class Sampler(NamedTuple):
    """Where to look: three pure functions and a statement about the law.

    Attributes:
      init: `params -> state`; what lives longer than a step (a basis), () if nothing does.
      draw: `(state, key, step, num_queries, params) -> (directions, state)`, with `num_queries`
        directions. `key` is the run's key; directions depend on (key, step, query, leaf path,
        role).
      observe: `(state, directions, coefficients, params) -> state`, after the estimate is formed;
        for samplers that learn from what was measured.
      covariance: `params -> c`, one number a leaf: E[z zᵀ] = c P with P the identity, or for a
        sampler with a basis the projector on average. The mean estimate is c times the gradient.
      recall: `(key, step, num_queries, params) -> directions`, those of an earlier step; None if
        they depend on more than this.
      subspace: coordinates that are smaller than params, None if there are none.
      one_by_one: `(state, key, step, num_queries, params) -> OneByOne`, what `draw` returns, with
        its state; None if directions are small enough to be drawn at once.
      combine_and_observe: `(state, directions, coefficients, params) -> (estimate, state)`, what
        `combine` and `observe` give, where making both at once spares draws; else None.
    """

    init: Callable[[Params], Any]
    draw: Callable[[Any, Key, jax.Array, int, Params], tuple[Directions, Any]]
    observe: Callable[[Any, Directions, jax.Array, Params], Any]
    covariance: Callable[[Params], Params]
    recall: Callable[[Key, jax.Array, int, Params], Directions] | None = None
    subspace: Subspace | None = None
    one_by_one: Callable[[Any, Key, jax.Array, int, Params], OneByOne] | None = None
    combine_and_observe: (
        Callable[[Any, Directions, jax.Array, Params], tuple[Params, Any]] | None
    ) = None


def memoryless(
    draw_one: Callable[[Key, Params], Directions],
    covariance: Callable[[Params], Params],
    *,
    in_turn: bool = False,
) -> Sampler:
    """A sampler without state from a function that draws one direction with a query's key.

    Args:
      draw_one: `(key, params) -> direction`.
      covariance: see `Sampler`.
      in_turn: draws one direction after another, for recipes that noise has to be made for.
    """

    def recall(key, step, num_queries, params):
        keys = _keys.query_keys(key, step, num_queries)
        each = jax.lax.map if in_turn else _side_by_side
        return each(lambda key: draw_one(key, params), keys)

    def draw(state, key, step, num_queries, params):
        return recall(key, step, num_queries, params), state

    return Sampler(lambda params: (), draw, ignore, covariance, recall)


def _side_by_side(fn: Callable[[Key], Directions], keys: Key) -> Directions:
    return jax.vmap(fn)(keys)


def ignore(state: Any, directions: Directions, coefficients: jax.Array, params: Params) -> Any:
    """The `observe` of a sampler that does not learn."""
    del directions, coefficients, params
    return state


def ones(params: Params) -> Params:
    """The `covariance` of an isotropic sampler: c = 1 on every leaf."""
    return jax.tree.map(lambda _: 1.0, params)


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
    shapes = [leaf.shape for leaf in leaves]
    together = sum_of_small(coefficients, directions, shapes)
    together |= sum_of_alike(coefficients, directions, shapes, without=together)
    sums: list[jax.Array] = []
    before = coefficients
    for place, (recipe, leaf) in enumerate(zip(directions, leaves, strict=True)):
        if place in together:
            sums.append(together[place].astype(leaf.dtype))
            continue
        fuses = read_once and 1 < len(coefficients) <= _UNROLLED and leaf.size >= _LARGE
        if isinstance(recipe, Factors):
            fuses, total = False, _sum_factors(coefficients, recipe, leaf, before)
        else:
            total = sum_dense(coefficients, recipe, leaf, before, written_out=fuses)
        sums.append(total)
        # What a leaf holds while it is summed is held after the leaf before it is done.
        if leaf.size and not fuses:
            before = total
    return treedef.unflatten(sums)


def wide(dtype: Any) -> Any:
    """The dtype in which perturbations and updates of such a leaf are formed."""
    return jnp.promote_types(dtype, jnp.float32)


def sum_dense(
    coefficients: jax.Array,
    rows: Recipe,
    leaf: jax.Array,
    before: jax.Array,
    *,
    written_out: bool = False,
) -> jax.Array:
    """Σ_k c_k z_k of a dense leaf; what is held is held when `before` is known.

    `written_out`, it is an expression of K terms that can fuse; else a loop, if K > 1.
    """
    if isinstance(rows, Bent):
        return sum_bent(coefficients, rows, leaf.shape, leaf.dtype, before)[0]
    dtype = wide(leaf.dtype)
    # Packed numbers are small, and unpacking them from a buffer is far cheaper than drawing them
    # for every entry; what is not packed should fuse, and never be one.
    datum = before if rows.packed else None

    def term(k: jax.Array | int) -> jax.Array:
        one = jax.tree.map(lambda array: array[k], rows)
        return coefficients[k].astype(dtype) * one.draw(leaf.shape, datum).astype(dtype)

    count = coefficients.shape[0]
    if written_out or count == 1:
        return sum(map(term, range(count))).astype(leaf.dtype)
    none = jnp.full(leaf.shape, waiting_zero(dtype, before))
    total = jax.lax.fori_loop(0, count, lambda k, total: total + term(k), none)
    return total.astype(leaf.dtype)


def _sum_factors(
    coefficients: jax.Array, factors: Factors, leaf: jax.Array, before: jax.Array
) -> jax.Array:
    """Σ_k c_k L_k R_kᵀ as one product of rank K r."""
    if coefficients.shape[0] * factors.left.shape[-1] > FUSED_RANK:
        # A product has a buffer for its result: one leaf after another, not all at once.
        coefficients = keep(lambda c: c, coefficients, before)
    left = factors.left * coefficients.reshape(-1, *(1,) * (factors.left.ndim - 1))
    joined = Factors(_join(left), _join(factors.right), factors.axes, factors.scale)
    return joined.draw(leaf.shape).astype(leaf.dtype)


def _join(parts: jax.Array) -> jax.Array:
    """(K, ..., rank) -> (..., K rank)."""
    parts = jnp.moveaxis(parts, 0, -2)
    return parts.reshape(*parts.shape[:-2], -1)
