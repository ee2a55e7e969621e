"""Directions that are more and more those of the steps before."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate
from zojax._typing import Key, Params
from zojax.noise import Role, _keys, gaussian_law
from zojax.recipes import Dense, Directions, Precomputed, Sum, dense_recipes
from zojax.samplers._sampler import Sampler, ones

_SMALL = 1e-8  # under the root, as published


class AnnealedState(NamedTuple):
    """State of `annealed`.

    Attributes:
      history: m, the last direction, a tree like params, float32.
      mixture: α, b₁ and b₂ of the last step, (3,), float32.
    """

    history: Params
    mixture: jax.Array


def annealed(
    *,
    alpha: ArrayLike = 0.5,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.01,
    warmup_steps: int = 1024,
    anneal_steps: int = 15_000,
    bits: int = 8,
) -> Sampler:
    """A direction that mixes noise with the last one, and updates scaled by what it is made of.

        ż = √α n,    z̈ = m_{t-1} + √(1 - α) n',    n, n' ~ N(0, I)                              (1)
        m_t = b₁ ż + (1 - b₁) z̈,    v = b₂ ż² + (1 - b₂) z̈²
        (2) estimate = c m_t / √(v + 1e-8), entry by entry
        (3)

    with c the coefficient of the step. α, b₁ and b₂ are 1 for `warmup_steps`, where m_t is noise
    and (3) its signs; then they go to the values that are given along half a cosine of
    `anneal_steps`.

    The estimate is not c m_t: links see (3). `covariance` says 1, that of the warm-up.

    Stores m. Asks for no loss. The noise is drawn once more than of `gaussian`, for (3).

    Args:
      alpha: α at the end, from 0 to 1.
      b1: b₁ at the end, from 0 to 1.
      b2: b₂ at the end, from 0 to 1.
      warmup_steps: at least 0.
      anneal_steps: at least 1.
      bits: random bits of a number of n, 8, 16 or 32; see `gaussian`.

    Raises:
      ValueError: if a number is out of range; when directions are drawn for more than one query.

    Source: Jiang et al., arXiv:2312.15184 (ZO-AdaMU).
    """
    _checks.share(alpha=alpha, b1=b1, b2=b2)
    _checks.at_least(0, warmup_steps=warmup_steps)
    _checks.at_least(1, anneal_steps=anneal_steps)
    _checks.one_of((8, 16, 32), bits=bits)
    law = gaussian_law(bits)

    def init(params: Params) -> AnnealedState:
        zeros = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, jnp.float32), params)
        return AnnealedState(zeros, jnp.ones((3,), jnp.float32))

    def mixture(step: jax.Array) -> jax.Array:
        passed = jnp.clip((step - warmup_steps) / anneal_steps, 0.0, 1.0)
        ends = jnp.stack([jnp.asarray(end, jnp.float32) for end in (alpha, b1, b2)])
        return (ends + (1 - ends) * (1 + jnp.cos(jnp.pi * passed)) / 2).astype(jnp.float32)

    def draw(state: AnnealedState, key: Key, step: jax.Array, num_queries: int, params: Params):
        if num_queries != 1:
            raise ValueError(
                "annealed has one direction a step, which the next one is made of; got "
                f"num_queries = {num_queries}"
            )
        state = state._replace(mixture=mixture(step))
        a, b, _ = state.mixture
        shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
        new, more = (
            dense_recipes(law, _keys.leaf_keys(of_query, params, Role.DIRECTION), shapes)
            for of_query in _keys.query_keys(key, step, 2)
        )
        directions = tuple(
            Sum(
                (
                    dataclasses.replace(n, scale=b * jnp.sqrt(a)),
                    dataclasses.replace(n_, scale=(1 - b) * jnp.sqrt(1 - a)),
                    Precomputed(m, 1 - b),
                )
            )
            for n, n_, m in zip(new, more, jax.tree.leaves(state.history), strict=True)
        )
        return jax.tree.map(lambda array: array[None], directions), state

    def combine_and_observe(
        state: AnnealedState, directions: Directions, measured: Estimate, params: Params
    ) -> tuple[Params, AnnealedState]:
        leaves, treedef = jax.tree.flatten(params)
        history = jax.tree.leaves(state.history)
        pairs = [_mixed(one, m, state.mixture) for one, m in zip(directions, history, strict=True)]
        coefficient = measured.coefficients[0]
        updates = [
            (coefficient * m * jax.lax.rsqrt(v + _SMALL)).astype(leaf.dtype)
            for (m, v), leaf in zip(pairs, leaves, strict=True)
        ]
        kept = state._replace(history=treedef.unflatten([m for m, _ in pairs]))
        return treedef.unflatten(updates), kept

    def observe(
        state: AnnealedState, directions: Directions, measured: Estimate, params: Params
    ) -> AnnealedState:
        return combine_and_observe(state, directions, measured, params)[1]

    return Sampler(init, draw, observe, ones, combine_and_observe=combine_and_observe)


def _mixed(direction: Sum, m: jax.Array, mixture: jax.Array) -> tuple[jax.Array, jax.Array]:
    """m_t and v of one leaf, by (2)."""
    a, b, c = mixture
    n, n_ = (_unscaled(part).draw(m.shape) for part in direction.parts[:2])
    first, second = jnp.sqrt(a) * n, m + jnp.sqrt(1 - a) * n_
    return b * first + (1 - b) * second, c * first**2 + (1 - c) * second**2


def _unscaled(noise: Dense) -> Dense:
    """The noise alone, of the one query that there is."""
    one = jax.tree.map(lambda array: array[0], noise)
    return dataclasses.replace(one, scale=jnp.ones_like(one.scale))
