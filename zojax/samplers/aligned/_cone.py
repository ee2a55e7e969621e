"""Directions in a cone around the average of the estimates."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import widened
from zojax._measurement import Estimate
from zojax._typing import Key, Params
from zojax.recipes import Dense, Directions, OneByOne, Precomputed, Sum, combine
from zojax.samplers._dense_noise import check_dense
from zojax.samplers._sampler import Sampler

# ‖m‖ up to here is no direction.
_SHORTEST = 1e-8


class ConeState(NamedTuple):
    """State of `cone`.

    Attributes:
      momentum: m, a tree like params, float32.
      along: what m was multiplied with in the last step's directions, shape (), float32.
      across: what u was, shape (), float32.
      decay: b of the last step, shape (), float32.
    """

    momentum: Params
    along: jax.Array
    across: jax.Array
    decay: jax.Array


def cone(sampler: Sampler, angle: ArrayLike, decay: optax.ScalarOrSchedule) -> Sampler:
    """Directions at an angle θ to the average m of the estimates so far.

        z_k = √d cos θ m / ‖m‖ + sin θ u_k,    u_k ~ `sampler`                                  (1)
        m   ← b m + (1 - b) Σ_k c_k z_k                                                         (2)

    with d entries of params and c the coefficients of the estimate; ‖m‖ is that of the whole tree.
    While m = 0 it is z = u. (2) comes after the step: z is measured and applied with one m.

    E[z zᵀ] = sin² θ I + d cos² θ m mᵀ / ‖m‖², so the estimate is not that of the gradient: its part
    along m is amplified, 1 + d cot² θ times as much as the rest. `covariance` says sin² θ.

    Stores m. Asks for no loss.

    Args:
      sampler: the law of u, one that is drawn entry by entry: `zojax.gaussian()`,
        `zojax.rademacher()` or `zojax.sphere()`.
      angle: θ in radians, above 0; at π/2 m has no say.
      decay: b, at least 0 and below 1, or a schedule of such.

    Raises:
      TypeError: if `sampler` is something else.
      ValueError: if a number is out of range; in `init` if u is not drawn entry by entry.

    Source: Behric, Zhang, Li, Thekumparampil, arXiv:2511.02757 (ConMeZO).
    """
    _checks.instance(Sampler, "zojax.gaussian()", sampler=sampler)
    _checks.positive(angle=angle)
    _checks.decay(decay=decay)

    def init(params: Params) -> ConeState:
        check_dense(sampler, params, "cone")
        momentum = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, jnp.float32), params)
        return ConeState(momentum, *(jnp.zeros((), jnp.float32) for _ in range(3)))

    def draw(state: ConeState, key: Key, step: jax.Array, num_queries: int, params: Params):
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        norm = optax.tree.norm(state.momentum)
        there = norm > _SHORTEST
        along = math.sqrt(size) * jnp.cos(angle) / jnp.where(there, norm, 1.0)
        state = ConeState(
            state.momentum,
            jnp.where(there, along, 0.0).astype(jnp.float32),
            jnp.where(there, jnp.sin(angle), 1.0).astype(jnp.float32),
            jnp.asarray(decay(step) if callable(decay) else decay, jnp.float32),
        )
        noise, _ = sampler.draw((), key, step, num_queries, params)
        return _around(state, noise, num_queries), state

    def one_by_one(
        state: ConeState, key: Key, step: jax.Array, num_queries: int, params: Params
    ) -> OneByOne:
        noise, _ = sampler.draw((), key, step, num_queries, params)

        def one(query: jax.Array) -> Directions:
            return _around(state, jax.tree.map(lambda array: array[query], noise))

        return OneByOne(num_queries, one)

    def combine_and_observe(
        state: ConeState, directions: Directions, measured: Estimate, params: Params
    ) -> tuple[Params, ConeState]:
        coefficients = measured.coefficients
        # m is the same in all directions: nothing is read, or held, once a query.
        noise: tuple[Dense, ...] = tuple(one.parts[0] for one in directions)
        across = combine(coefficients, noise, widened(params))
        along = jnp.sum(coefficients) * state.along
        total = jax.tree.map(lambda u, m: u + along * m, across, state.momentum)
        momentum = jax.tree.map(
            lambda m, g: (state.decay * m + (1 - state.decay) * g).astype(m.dtype),
            state.momentum,
            total,
        )
        return optax.tree.cast_like(total, params), state._replace(momentum=momentum)

    def observe(
        state: ConeState, directions: Directions, measured: Estimate, params: Params
    ) -> ConeState:
        return combine_and_observe(state, directions, measured, params)[1]

    def covariance(params: Params) -> Params:
        return jax.tree.map(lambda _: jnp.sin(angle) ** 2, params)

    return Sampler(
        init,
        draw,
        observe,
        covariance,
        one_by_one=one_by_one,
        combine_and_observe=combine_and_observe,
    )


def _around(state: ConeState, noise: Directions, *queries: int) -> Directions:
    """Directions of (1); every array leads with `queries`."""
    recipes = []
    for u, m in zip(noise, jax.tree.leaves(state.momentum), strict=True):
        axis = jax.tree.map(
            lambda array: jnp.broadcast_to(array, (*queries, *array.shape)),
            Precomputed(m, state.along),
        )
        recipes.append(Sum((dataclasses.replace(u, scale=state.across * u.scale), axis)))
    return tuple(recipes)
