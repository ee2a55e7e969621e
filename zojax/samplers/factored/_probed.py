"""Factored directions in bases of a rough estimate of the gradient, and aligned with it."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Losses
from zojax._orthonormal import orthonormal
from zojax._schedule import draw_after, in_place
from zojax._typing import Key, Params
from zojax.noise import Role, _keys, gaussian_law
from zojax.recipes import Dense, Directions, LowRank, dense_recipes, sum_draws
from zojax.samplers._kernel_views import kernels_as_matrices
from zojax.samplers._sampler import Sampler, ignore
from zojax.samplers._views import Views
from zojax.samplers.factored._matrices import Kinds, Matrix, matrices
from zojax.samplers.factored._parts import draw_part

# Rounds of (U ← orth(G V), V ← orth(Gᵀ U)); the singular values of noise are close to each other,
# so there is no basis to converge to.
_SWEEPS = 3
_exact = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


class ProbedState(NamedTuple):
    """State of `probed`; a list has an array for each matrix.

    Attributes:
      left: U, (*batch, m, r), float32.
      core: S = Uᵀ Ĝ V, (*batch, r, r), float32.
      right: V, (*batch, n, r), float32.
      has_bases: whether they were found already, shape (), bool.
      usable: whether the last step's probes had finite losses, shape (), bool.
    """

    left: list[jax.Array]
    core: list[jax.Array]
    right: list[jax.Array]
    has_bases: jax.Array
    usable: jax.Array


def probed(
    rank: int,
    period: int = 100,
    probes: int = 10,
    radius: ArrayLike = 1e-3,
    *,
    delta: ArrayLike = 1.0,
    scale: float | None = 1.0,
    views: Views = kernels_as_matrices,
    bits: int = 8,
) -> Sampler:
    """Z = scale · U C Vᵀ on matrices, N(0, I) elsewhere, with bases that losses choose.

    Every `period` steps an estimate of the gradient is made along dense directions, and of its part
    in each matrix, Ĝ, the bases of (about) its r largest singular values, U and V, and S = Uᵀ Ĝ V
    are kept:

        Ĝ = (1/h) Σ_j ρ_j Z_j,    ρ_j = [f(x + r Z_j) - f(x - r Z_j)] / (2 r),    Z_j ~ N(0, I)  (1)

    In every step a core is drawn, and its part along S set to a fixed length of either sign:

        C₀ ~ N(0, 1)^{r x r},    ξ = ±1,    C = C₀ - (<S, C₀> - ξ √δ ‖S‖) / ‖S‖² S               (2)

    so <S, C> = ξ √δ ‖S‖. In the coordinates of the core E[vec C vec Cᵀ] = I + (δ - 1) ŝ ŝᵀ with ŝ =
    vec S / ‖S‖: the identity for δ = 1, and the part of the gradient along Ĝ is amplified δ times.
    `covariance` says scale² r²/(m n) for matrices, 1 for others.

    Asks for 2 h losses every `period` steps. Stores (m + n + r) r numbers a matrix. Ĝ exists for a
    matrix at a time, while its bases are made, by three rounds of power iteration.

    Args:
      rank: r, at least 1. A matrix with a side below r gets that side.
      period: steps, at least 1.
      probes: h, at least 1.
      radius: r of (1), above 0.
      delta: δ, at least 0.
      scale: the factor in front; None takes √(m n)/r, the one that makes c = 1.
      views: (path, leaf) -> which axes are rows and columns; see `MatrixView`.
      bits: random bits of a gaussian number, 8, 16 or 32 (see `gaussian`).

    Raises:
      ValueError: if a number is out of range, or a view does not fit; when directions are drawn for
        more than one query.

    Source: arXiv:2510.18228 (P-GAP).
    """
    _checks.at_least(1, rank=rank, period=period, probes=probes)
    _checks.positive(radius=radius)
    _checks.not_negative(delta=delta)
    if scale is not None:
        _checks.positive(scale=scale)
    kinds = Kinds("haar", "gaussian", "haar", bits)
    kinds.check()
    law = gaussian_law(bits)

    def seen(params: Params) -> list[Matrix | None]:
        return matrices(params, views, kinds, rank, scale)

    def init(params: Params) -> ProbedState:
        found = [matrix for matrix in seen(params) if matrix is not None]
        parts = {
            side: [jnp.zeros(matrix.shapes[side], jnp.float32) for matrix in found]
            for side in ("left", "core", "right")
        }
        return ProbedState(**parts, has_bases=jnp.bool(0), usable=jnp.bool(1))

    def guide(
        state: ProbedState, key: Key, step: jax.Array, params: Params, losses: Losses
    ) -> ProbedState:
        due = (step % period == 0) | ~state.has_bases
        # Query 0 is the step's own.
        query_keys = _keys.query_keys(key, step, 1 + probes)[1:]
        directions = jax.vmap(lambda key: _dense(key, params))(query_keys)
        pairs = losses.along(directions, radius * jnp.array([1.0, -1.0]), when=due)
        slopes = (pairs[:, 0] - pairs[:, 1]) / (2 * radius)
        finite = jnp.all(jnp.isfinite(slopes))

        def found() -> ProbedState:
            refresh = _keys.refresh_key(key, step // period)
            parts = _bases(slopes / probes, directions, refresh, params)
            return ProbedState(*parts, has_bases=jnp.bool(1), usable=jnp.bool(1))

        return in_place(due & finite, found, state._replace(usable=~due | finite))

    def _dense(key: Key, params: Params) -> Directions:
        shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
        return dense_recipes(law, _keys.leaf_keys(key, params, Role.DIRECTION), shapes)

    def _bases(
        coefficients: jax.Array, directions: Directions, key: Key, params: Params
    ) -> tuple[list[jax.Array], list[jax.Array], list[jax.Array]]:
        leaves, bases, before = seen(params), [], coefficients
        for place, (recipe, matrix) in enumerate(zip(directions, leaves, strict=True)):
            if matrix is None:
                continue

            def starts(key: Key, place: int = place) -> list[jax.Array]:
                alone = [one if at == place else None for at, one in enumerate(leaves)]
                return [draw_part(side, kinds, key, params, alone)[0] for side in _SIDES]

            like = jax.ShapeDtypeStruct(matrix.shape, jnp.float32)
            # One matrix after another: the estimate of each is used up before the next is made.
            g = sum_draws(coefficients, recipe, like, before)
            # Compilers of accelerators find more room if nothing is said.
            after = functools.partial(draw_after, starts, datum=before)
            begun = jax.lax.platform_dependent(key, cpu=after, default=starts)
            bases.append(_singular(matrix.flattened(g), *begun))
            before = bases[-1][1]
        lefts, cores, rights = zip(*bases, strict=True) if bases else ((), (), ())
        return list(lefts), list(cores), list(rights)

    def draw(state: ProbedState, key: Key, step: jax.Array, num_queries: int, params: Params):
        if num_queries != 1:
            raise ValueError(f"probed makes one direction a step, got num_queries = {num_queries}")
        leaves = seen(params)
        (of_query,) = _keys.query_keys(key, step, 1)
        cores = draw_part("core", kinds, of_query, params, leaves)
        places = [place for place, matrix in enumerate(leaves) if matrix is not None]
        sign_keys = jax.random.split(_keys.estimator_key(key, step), len(leaves))
        recipes: list[Dense | LowRank] = list(_dense(of_query, params))
        # Along what is not a number nothing is measured, and the step is not taken.
        usable = jnp.where(state.usable, 1.0, jnp.nan)
        bases = zip(places, cores, state.left, state.core, state.right, strict=True)
        for place, core, left, target, right in bases:
            sign = jax.random.rademacher(sign_keys[place], target.shape[:-2], jnp.float32)
            aligned = _aligned(core, target, sign[..., None, None] * jnp.sqrt(delta))
            factors = _exact("...mr,...rs->...ms", left, usable * aligned), right
            recipes[place] = leaves[place].factors(*factors)
        return tuple(jax.tree.map(lambda array: array[None], recipe) for recipe in recipes), state

    def covariance(params: Params) -> Params:
        c = [1.0 if matrix is None else matrix.covariance for matrix in seen(params)]
        return jax.tree.unflatten(jax.tree.structure(params), c)

    return Sampler(init, draw, ignore, covariance, guide=guide)


_SIDES = ("left", "right")


def _singular(
    g: jax.Array, left: jax.Array, right: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """U, S and V of G, (*batch, m, n), from bases to begin with; these where G is 0."""
    there = jnp.sum(g**2, (-1, -2), keepdims=True) > 0
    u, v = left, right
    for _ in range(_SWEEPS):
        u = orthonormal(jnp.where(there, _exact("...mn,...nr->...mr", g, v), left))
        v = orthonormal(jnp.where(there, _exact("...mn,...mr->...nr", g, u), right))
    return u, _exact("...mr,...mn,...ns->...rs", u, g, v), v


def _aligned(core: jax.Array, target: jax.Array, along: jax.Array) -> jax.Array:
    """C of (2) from C₀ and S, `along` being ξ √δ; C₀ where S is 0."""
    square = jnp.sum(target**2, (-1, -2), keepdims=True)
    inner = jnp.sum(core * target, (-1, -2), keepdims=True)
    share = (inner - along * jnp.sqrt(square)) / jnp.where(square > 0, square, 1.0)
    return core - jnp.where(square > 0, share, 0.0) * target
