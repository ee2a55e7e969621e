"""Factored samplers: Z = scale · L · core · Rᵀ for every leaf that is a matrix.

One class covers nine published samplers (which part is of what kind, and how often it is drawn):

    method     L                    core              R                    scale
    EGGROLL    gaussian, 0          identity          gaussian, 0          1/√r
    LOZO       gaussian, 0          identity          gaussian, 50         1
    TeZO       gaussian, None       diagonal          gaussian, None       1
    SubZero    haar, 1000           gaussian r×r      haar, 1000           √(mn)/r
    ZO-Muon    haar, 100            gaussian r×n      identity             1

A period of 0 draws a part anew for every query, k keeps it for k steps, None for the whole run.
Parts that are kept are the only state, (m + n) r numbers a matrix. Leaves that are no matrix fall
back to an isotropic gaussian direction.

Covariance: with P = number of pairs (a, b) that the core joins (r if it is an identity or diagonal,
else the product of its sides) and E = 1 for a gaussian part, 1/m (or 1/n) for a Haar part or an
identity,

    E[Z_ij²] = c = scale² · P · E_L · E_R                                                   (1)

and distinct entries are uncorrelated on average over all parts. scale=None makes c = 1.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zojax import _checks
from zojax._typing import Key, Params
from zojax.noise import Role, _keys, gaussian_law
from zojax.recipes import Dense, Directions, LowRank, OneByOne, dense_recipes
from zojax.samplers._kernel_views import kernels_as_matrices
from zojax.samplers._sampler import Sampler, ignore
from zojax.samplers._views import Views
from zojax.samplers.factored._cores import core_space, fold, has_cores
from zojax.samplers.factored._matrices import Kinds, Matrix, matrices
from zojax.samplers.factored._parts import draw_part, kept_part, past_part


def factored(
    rank: int,
    *,
    left: str = "gaussian",
    core: str = "identity",
    right: str = "gaussian",
    left_period: int | None = 0,
    right_period: int | None = 0,
    scale: float | None = None,
    views: Views = kernels_as_matrices,
    at_refresh: str = "reset",
    bits: int = 8,
) -> Sampler:
    """Z = scale · L · core · Rᵀ on matrices, N(0, I) elsewhere. The defaults are EGGROLL's.

    Evaluated as x@W + radius (x@L)@(core Rᵀ): neither Z nor W + radius Z is formed. But on a CPU,
    if the rank is above 8 and there are so many tokens that this is faster, both are, of a matrix
    (or a layer of a stack) at a time.

    Args:
      rank: r, columns of L and R; at least 1. A matrix with a side below r gets that side.
      left: kind of L, (m, r): "gaussian", "haar" (orthonormal columns) or "identity" (m, m).
      core: "identity", "diagonal" (gaussian) or "gaussian"; drawn for every query.
      right: kind of R, (n, r), as `left`.
      left_period: steps that L is kept for; 0 draws one a query, None one a run.
      right_period: the same of R.
      scale: the factor in front; None takes the one that makes c = 1, equation (1).
      views: (path, leaf) -> which axes are rows and columns; see `MatrixView`.
      at_refresh: what becomes of the state of links that see cores (`inner` of `estimate_gradient`)
        when a basis is drawn anew: "reset" starts it anew, "project" carries it over,
        core ← L'⁺ L core Rᵀ R'⁺ᵀ with the new L', R', and "sketch" does so with the transpose in
        the place of the inverse, over the number of rows where that part is gaussian. These are
        meant for momentum; second moments can become negative by them.
      bits: random bits of a gaussian number, 8, 16 or 32 (see `gaussian`); Haar parts are made of
        such of 32.

    Sides that are kept or identities, with a core that is drawn, make `core` the coordinates of a
    direction (see `inner` of `estimate_gradient`).

    Raises:
      ValueError: for a rank below 1 or above every matrix of params, an unknown kind, a negative
        period, a view that does not fit, another number of bits, or kinds that leave nothing
        factored.
    """
    _checks.at_least(1, rank=rank)
    for name, period in {"left_period": left_period, "right_period": right_period}.items():
        if period is not None:
            _checks.at_least(0, **{name: period})
    _checks.one_of(("reset", "project", "sketch"), at_refresh=at_refresh)
    kinds = Kinds(left, core, right, bits)
    kinds.check()
    if at_refresh != "reset" and core != "gaussian":
        raise ValueError(
            f"at_refresh={at_refresh!r} needs core='gaussian', got core={core!r}: other cores have "
            "no image in a new basis; use at_refresh='reset'"
        )
    periods = {"left": left_period, "right": right_period}
    if scale is not None:
        _checks.positive(scale=scale)

    def seen(params: Params) -> list[Matrix | None]:
        return matrices(params, views, kinds, rank, scale)

    def init(params: Params) -> Any:
        found = [matrix for matrix in seen(params) if matrix is not None]
        largest = max((min(matrix.m, matrix.n) for matrix in found), default=rank)
        if rank > largest:
            raise ValueError(
                f"rank must be at most {largest}, the smaller side of the largest matrix in "
                f"params, got {rank}"
            )
        keep = {"left": kinds.left != "identity" and left_period != 0}
        keep["right"] = kinds.right != "identity" and right_period != 0
        return {
            side: [jnp.zeros(matrix.shapes[side], jnp.float32) for matrix in found]
            for side in ("left", "right")
            if keep[side]
        }

    def directions(state, key: Key, step: jax.Array, num_queries: int, params: Params):
        leaves = seen(params)
        keys = _keys.query_keys(key, step, num_queries)
        return jax.vmap(lambda key: _direction(kinds, state, key, params, leaves))(keys)

    def draw(state, key: Key, step: jax.Array, num_queries: int, params: Params):
        leaves = seen(params)
        state = {
            side: kept_part(side, kinds, periods[side], kept, key, step, params, leaves)
            for side, kept in state.items()
        }
        return directions(state, key, step, num_queries, params), state

    def one_by_one(state, key: Key, step: jax.Array, num_queries: int, params: Params) -> OneByOne:
        leaves = seen(params)
        keys = _keys.query_keys(key, step, num_queries)
        return OneByOne(
            num_queries, lambda query: _direction(kinds, state, keys[query], params, leaves)
        )

    def recall(key: Key, step: jax.Array, num_queries: int, params: Params):
        leaves = seen(params)
        bases = {
            side: past_part(side, kinds, periods[side], key, step, params, leaves)
            for side in init(params)
        }
        return directions(bases, key, step, num_queries, params)

    def covariance(params: Params) -> Params:
        c = [1.0 if matrix is None else matrix.covariance for matrix in seen(params)]
        return jax.tree.unflatten(jax.tree.structure(params), c)

    space = None
    if has_cores(kinds, periods):
        space = core_space(kinds, periods, seen, at_refresh)
    return Sampler(init, draw, ignore, covariance, recall, space, one_by_one)


def _direction(
    kinds: Kinds, kept: dict, key: Key, params: Params, leaves: list[Matrix | None]
) -> Directions:
    """One direction, with a query's key."""
    parts = {
        side: kept[side] if side in kept else draw_part(side, kinds, key, params, leaves)
        for side in ("left", "core", "right")
    }
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    vectors = [place for place, matrix in enumerate(leaves) if matrix is None]
    keys = _keys.leaf_keys(key, params, Role.DIRECTION)
    recipes: dict[int, Dense | LowRank] = {}
    if vectors:
        law = gaussian_law(kinds.bits)
        dense = dense_recipes(law, keys[np.array(vectors)], [shapes[v] for v in vectors])
        recipes.update(zip(vectors, dense, strict=True))
    found = [place for place, matrix in enumerate(leaves) if matrix is not None]
    for place, left, core, right in zip(found, *parts.values(), strict=True):
        recipes[place] = leaves[place].factors(*fold(kinds, left, core, right))
    return tuple(recipes[place] for place in range(len(shapes)))
