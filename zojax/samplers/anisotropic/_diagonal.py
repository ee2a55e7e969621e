"""Gaussian directions that go less far in coordinates along which the loss curves more."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import wide, widened
from zojax._measurement import Estimate
from zojax._typing import Key, Params
from zojax.noise import Law, Role, _keys, gaussian_law
from zojax.recipes import (
    Dense,
    Directions,
    OneByOne,
    Precomputed,
    Preconditioned,
    combine,
    combine_squares,
    dense_recipes,
)
from zojax.samplers._sampler import Sampler, ones


class DiagonalState(NamedTuple):
    """State of `diagonal`.

    Attributes:
      curvature: h, a tree like params, float32 or wider; 1 at first.
    """

    curvature: Params


def diagonal(rate: ArrayLike, *, bits: int = 8) -> Sampler:
    """Z = u / √h, u ~ N(0, I), entry by entry, with a curvature h that is learned.

    After a step whose estimator measured curvatures κ_k = z_kᵀ H z_k, H being the Hessian,

        h ← (1 - a) h + (a / K) Σ_k |κ_k| / 2 · h u_k²                                         (1)

    Directions are measured and applied with one h; it moves in between. On a quadratic with the
    diagonal Hessian diag(c) in d dimensions the mean of (1) is 0 at h_i = c_i (d + 2)/2: h is
    proportional to the curvature, and an update ∝ 1/h, as the mean of s z is, to Newton's.

    E[z zᵀ] = 1/h; `covariance` says 1, what it is at first.

    Stores h: 4 bytes for every weight (8 where weights are float64). Noise is drawn once more than
    of `gaussian`, for (1).

    Args:
      rate: a, at least 0 and below 1.
      bits: random bits of a number of u, 8, 16 or 32; see `gaussian`.

    Raises:
      ValueError: for a number out of range; in `update` if the estimator measures no curvatures,
        as `central_with_curvature` does.

    Source: arXiv:2402.15173 (HiZOO), in the form of its official code.
    """
    _checks.below_one(rate=rate)
    _checks.one_of((8, 16, 32), bits=bits)
    law = gaussian_law(bits)

    def init(params: Params) -> DiagonalState:
        return DiagonalState(jax.tree.map(lambda x: jnp.ones_like(x, wide(x.dtype)), params))

    def one(state: DiagonalState, key: Key, params: Params) -> Directions:
        curvature = jax.tree.leaves(state.curvature)
        noise = _noise(law, key, params)
        pairs = zip(noise, curvature, strict=True)
        return tuple(Preconditioned(u, Precomputed(h)) for u, h in pairs)

    def draw(state: DiagonalState, key: Key, step: jax.Array, num_queries: int, params: Params):
        keys = _keys.query_keys(key, step, num_queries)
        return jax.vmap(lambda key: one(state, key, params))(keys), state

    def one_by_one(
        state: DiagonalState, key: Key, step: jax.Array, num_queries: int, params: Params
    ) -> OneByOne:
        keys = _keys.query_keys(key, step, num_queries)
        return OneByOne(num_queries, lambda query: one(state, keys[query], params))

    def observe(
        state: DiagonalState, directions: Directions, measured: Estimate, params: Params
    ) -> DiagonalState:
        if measured.curvatures is None:
            raise ValueError(
                "directions learn from curvatures, which this estimator does not measure; use "
                "zojax.central_with_curvature(radius)"
            )
        weights = jnp.abs(measured.curvatures) / (2 * measured.curvatures.shape[0])
        growth = combine_squares(weights, _noise_of(directions), widened(params))

        def moved(h: jax.Array, g: jax.Array) -> jax.Array:
            return ((1 - rate) * h + rate * h * g).astype(h.dtype)

        return DiagonalState(jax.tree.map(moved, state.curvature, growth))

    def combine_and_observe(
        state: DiagonalState, directions: Directions, measured: Estimate, params: Params
    ) -> tuple[Params, DiagonalState]:
        # Of the K directions only the noise is read: K copies of h are never made.
        total = combine(measured.coefficients, _noise_of(directions), widened(params))
        updates = jax.tree.map(lambda u, h: u * jax.lax.rsqrt(h), total, state.curvature)
        updates = jax.tree.map(lambda u, x: u.astype(x.dtype), updates, params)
        return updates, observe(state, directions, measured, params)

    return Sampler(
        init, draw, observe, ones, one_by_one=one_by_one, combine_and_observe=combine_and_observe
    )


def _noise(law: Law, key: Key, params: Params) -> tuple[Dense, ...]:
    """That of one direction, with a query's key."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    return dense_recipes(law, _keys.leaf_keys(key, params, Role.DIRECTION), shapes)


def _noise_of(directions: Directions) -> Directions:
    return tuple(recipe.noise for recipe in directions)
