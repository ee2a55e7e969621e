"""One-sided differences at random radii, weighted such that their errors telescope away."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def telescoping(
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    points: int = 4,
    *,
    ratio: ArrayLike = 0.5,
    levels: int = 4,
) -> Estimator:
    """The mean of K slopes that are right on average although their radii are not small.

    With D(r) = [f(x + r z) - f(x)] / r, radii r_n = r q^{n-1} and a level n from 1 to N that is
    drawn for every query with p_n = (1 - q) q^{n-1} / (1 - q^N),

        P₄ = D(r_1) + [D(r_{n+1}) - D(r_n)] / p_n                                               (1)
        P₃ = 2 D(r_1), or 2 [D(r_{n+1}) - D(r_n)] / p_n, by the toss of a coin                   (2)

    The mean over levels (and coins) is D(r_1) + Σ_n [D(r_{n+1}) - D(r_n)] = D(r_{N+1}): the bias is
    that of a difference at the smallest radius r q^N, which is 0 for N → ∞. These p belong to these
    radii: with them the second term of (1) is at most ‖z‖² r/2 times the largest curvature.

    The price is variance: on a linear loss (1) is `forward` (the second term is 0), and (2) has
    twice its second moment. An error e of a loss enters as e / (r_n p_n), which is (1 - q^N)/(1 -
    q) q^{-2(n-1)} e / r: N bounds that. It pays where r has to be wide, and curvature would bias a
    plain difference.

    Costs 3 K + 1 loss evaluations a step for (1) and 2 K + 1 for (2), of which a query that tosses
    the first case does not need one: shapes are fixed. Stores nothing.

    Args:
      radius: r, above 0.
      num_queries: K, at least 1.
      points: 4 for (1), 3 for (2).
      ratio: q, above 0 and below 1.
      levels: N, at least 1; with 1 it is `forward` at r q.

    Raises:
      ValueError: if a number is out of range.

    Source: Ma, Huang, arXiv:2510.19953, equations of P₃ and P₄, and Theorem 3.2 for p.
    """
    _checks.positive(radius=radius, ratio=ratio)
    _checks.below_one(ratio=ratio)
    _checks.at_least(1, num_queries=num_queries, levels=levels)
    _checks.one_of((3, 4), points=points)

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        shares = level_shares(ratio, levels)
        of_level, of_coin = jax.random.split(probe.key())
        level = jax.random.categorical(of_level, jnp.log(shares), shape=(num_queries,))
        near = radius * ratio**level  # level 0 is n = 1
        pair, share = jnp.stack([near, near * ratio], 1), shares[level]
        first = jnp.full((num_queries, 1), radius, pair.dtype)
        base = probe.base()
        if points == 4:
            radii = jnp.concatenate([first, pair], 1)
        else:
            is_first = jax.random.bernoulli(of_coin, shape=(num_queries, 1))
            radii = jnp.where(is_first, jnp.concatenate([first, first * ratio], 1), pair)
        losses = probe.along(radii)
        d = (losses - base) / radii
        rest = (d[:, -1] - d[:, -2]) / share
        slopes = d[:, 0] + rest if points == 4 else 2 * jnp.where(is_first[:, 0], d[:, 0], rest)
        return Estimate(slopes / num_queries, losses, base), state

    return Estimator(num_queries, lambda: (), estimate)


def level_shares(ratio: ArrayLike, levels: int) -> jax.Array:
    """p_1...p_N, (N,)."""
    powers = jnp.asarray(ratio, jnp.result_type(float)) ** jnp.arange(levels)
    return powers / jnp.sum(powers)
