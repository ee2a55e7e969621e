"""Gaussian directions that go less far in coordinates along which the loss curves more."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import widened
from zojax._measurement import Estimate
from zojax._schedule import make_after
from zojax._typing import Key, Params
from zojax.noise import Law, Role, _keys, gaussian_law
from zojax.recipes import (
    Dense,
    Directions,
    LowRank,
    MatrixView,
    OneByOne,
    Precomputed,
    Preconditioned,
    combine,
    combine_squares,
    dense_recipes,
)
from zojax.samplers._sampler import Sampler, ones
from zojax.samplers._views import Views, checked_view
from zojax.samplers.anisotropic._curvature_means import grown, ones_like, recipe_of


class DiagonalState(NamedTuple):
    """State of `diagonal`.

    Attributes:
      curvature: h of each leaf, in a tree like params: an array, float32 or wider, or the `Means`
        of its rows and columns; 1 at first.
    """

    curvature: Any


def diagonal(rate: ArrayLike, *, bits: int = 8, views: Views | None = None) -> Sampler:
    """Z = u / √h, u ~ N(0, I), entry by entry, with a curvature h that is learned.

    After a step whose estimator measured curvatures κ_k = z_kᵀ H z_k, H being the Hessian,

        h ← (1 - a) h + (a / K) Σ_k |κ_k| / 2 · h u_k²                                         (1)

    Directions are measured and applied with one h; it moves in between. On a quadratic with the
    diagonal Hessian diag(c) in d dimensions the mean of (1) is 0 at h_i = c_i (d + 2)/2: h is
    proportional to the curvature, and an update ∝ 1/h, as the mean of s z is, to Newton's.

    With `views` no h of a matrix is stored. Of (1) the means of rows and of columns are formed, R
    and C, and h is what Adafactor makes of such means,

        h_ij = R_i C_j / mean(R)                                                                (2)

    the matrix of rank 1 that has them; (1) is exact where h and the mean of u² are of rank 1.

    E[z zᵀ] = 1/h; `covariance` says 1, what it is at first.

    Stores h: 4 bytes for every weight (8 where weights are float64), or with `views` for every row
    and column of a matrix, and every entry of other leaves. Noise is drawn once more than
    of `gaussian`, for (1).

    Args:
      rate: a, at least 0 and below 1.
      bits: random bits of a number of u, 8, 16 or 32; see `gaussian`.
      views: which leaves are matrices, and how; e.g. `zojax.samplers.kernels_as_matrices`. None:
        none of them.

    Raises:
      ValueError: for a number out of range; in `update` if the estimator measures no curvatures,
        as `central_with_curvature` does.

    Source: arXiv:2402.15173 (HiZOO), in the form of its official code; (2) is equation 4 of Shazeer
    and Stern, "Adafactor: adaptive learning rates with sublinear memory cost", arXiv:1804.04235.
    """
    _checks.below_one(rate=rate)
    _checks.one_of((8, 16, 32), bits=bits)
    law = gaussian_law(bits)

    def views_of(params: Params) -> list[MatrixView | None]:
        named = jax.tree.leaves_with_path(params)
        return [views and checked_view(views, path, leaf) for path, leaf in named]

    def init(params: Params) -> DiagonalState:
        leaves, treedef = jax.tree.flatten(params)
        kept = map(ones_like, leaves, views_of(params))
        return DiagonalState(treedef.unflatten(kept))

    def curvature_of(state: DiagonalState, params: Params) -> list[Precomputed | LowRank]:
        kept = jax.tree.structure(params).flatten_up_to(state.curvature)
        return list(map(recipe_of, kept, views_of(params)))

    def one(state: DiagonalState, key: Key, params: Params) -> Directions:
        pairs = zip(_noise(law, key, params), curvature_of(state, params), strict=True)
        return tuple(Preconditioned(u, h) for u, h in pairs)

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
        leaves, treedef = jax.tree.flatten(widened(params))
        kept, moved, before = treedef.flatten_up_to(state.curvature), [], weights
        for h, view, u, leaf in zip(
            kept, views_of(params), _noise_of(directions), leaves, strict=True
        ):
            # One leaf after another: of what is squared the means alone are left.
            own = make_after(lambda weights: weights, weights, before)
            (growth,) = combine_squares(own, (u,), [leaf])
            moved.append(grown(h, view, rate, growth))
            before = jax.tree.leaves(moved[-1])[0] if leaf.size else before
        return DiagonalState(treedef.unflatten(moved))

    def combine_and_observe(
        state: DiagonalState, directions: Directions, measured: Estimate, params: Params
    ) -> tuple[Params, DiagonalState]:
        # Of the K directions only the noise is read: K copies of h are never made.
        total = combine(measured.coefficients, _noise_of(directions), widened(params))
        totals, treedef = jax.tree.flatten(total)
        updates = [
            (u * jax.lax.rsqrt(h.draw(u.shape))).astype(x.dtype)
            for u, h, x in zip(
                totals, curvature_of(state, params), jax.tree.leaves(params), strict=True
            )
        ]
        return treedef.unflatten(updates), observe(state, directions, measured, params)

    return Sampler(
        init, draw, observe, ones, one_by_one=one_by_one, combine_and_observe=combine_and_observe
    )


def _noise(law: Law, key: Key, params: Params) -> tuple[Dense, ...]:
    """That of one direction, with a query's key."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    return dense_recipes(law, _keys.leaf_keys(key, params, Role.DIRECTION), shapes)


def _noise_of(directions: Directions) -> Directions:
    return tuple(recipe.noise for recipe in directions)
