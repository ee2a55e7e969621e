"""Scores of a population in the place of its losses."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator

_FITNESSES = ("centered", "zscore", "rank", "sign")


def fitness_shaped(
    radius: ArrayLike = 1e-3,
    num_queries: int = 8,
    fitness: str = "zscore",
    antithetic: bool = True,  # noqa: FBT001, FBT002
    num_groups: int = 1,
) -> Estimator:
    """Scores s of a population of N points, whose directions are added up by them.

        f_k = f(x + r z_k),            N = K,      ĝ = (1/N) Σ_k s_k z_k                       (1)
        f_k± = f(x ± r z_k),           N = 2 K,    ĝ = (1/N) Σ_k (s_k+ - s_k-) z_k             (2)

    the second with `antithetic`. With the mean over a point's group, `num_groups` of them made of
    successive queries, and μ, σ those of the whole population,

        "centered"   s = (f - mean f) / r                                                      (3)
        "zscore"     s = (f - mean f) / σ,    σ² = (1/N) Σ (f - μ)²                            (4)
        "rank"       s = (points below + half of those that are equal) / (N - 1) - 1/2         (5)
        "sign"       s+ = -s- = sign(f+ - f-)                                                  (6)

    (3) is an estimate of the gradient: with (2) the mean of central differences, with (1) and one
    group N/(N - 1) times less than `leave_one_out`. The others have no unit: a loss that is
    multiplied with a number above 0 has the same ĝ, of (5) and (6) one that is transformed by any
    function that grows. Equal losses have the scores 0.

    Costs N loss evaluations a step; stores nothing.

    Args:
      radius: r, above 0.
      num_queries: K, at least 1; at least 2 without `antithetic`.
      fitness: "centered", "zscore", "rank" or "sign", the last with `antithetic` alone.
      antithetic: whether each direction has two points, on both sides of x.
      num_groups: a divisor of K; of (3) and (4).

    Raises:
      ValueError: if a number is out of range, for another word, a number of groups that does not
        divide K or leaves points of (1) alone, or "sign" without pairs.

    Source: arXiv:2511.16652 (EGGROLL); ranks are those of Salimans, Ho, Chen, Sidor, Sutskever,
    "Evolution strategies as a scalable alternative to reinforcement learning", arXiv:1703.03864.
    """
    _checks.positive(radius=radius)
    _checks.flag(antithetic=antithetic)
    _checks.one_of(_FITNESSES, fitness=fitness)
    _checks.at_least(1, num_groups=num_groups)
    _checks.at_least(1 if antithetic else 2 * num_groups, num_queries=num_queries)
    if num_queries % num_groups:
        raise ValueError(
            f"num_groups must divide num_queries={num_queries}, got {num_groups}: groups are "
            "equally large"
        )
    if fitness == "sign" and not antithetic:
        raise ValueError(
            "fitness='sign' compares the two points of a pair; use antithetic=True, or "
            "fitness='rank' without pairs"
        )

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        losses = probe.along(radius * jnp.array([1.0, -1.0]) if antithetic else radius)
        return Estimate(jnp.zeros(num_queries, losses.dtype), losses), state

    def shape(state: Any, measured: Estimate) -> jax.Array:
        del state
        losses = measured.losses.reshape(num_queries, -1)
        if fitness == "rank":
            scores = _ranks(losses)
        elif fitness == "sign":
            scores = jnp.sign(losses - losses[:, ::-1])
        else:
            groups = losses.reshape(num_groups, -1)
            scores = (groups - jnp.mean(groups, 1, keepdims=True)).reshape(losses.shape)
            spread = jnp.std(losses) if fitness == "zscore" else radius
            scores = jnp.where(spread == 0, 0.0, scores / spread)
        weights = (scores[:, 0] - scores[:, 1]) if antithetic else scores[:, 0]
        # Ranks and signs of what is no number would be some.
        return jnp.where(jnp.all(jnp.isfinite(losses)), weights / losses.size, jnp.nan)

    return Estimator(num_queries, lambda: (), estimate, shape=shape)


def _ranks(losses: jax.Array) -> jax.Array:
    """Equation (5)."""
    flat = losses.reshape(-1)
    difference = jnp.sign(flat[:, None] - flat[None])
    below = jnp.sum(difference, 1) / 2  # as many as are below, less those above, halved
    return (below / (flat.size - 1)).reshape(losses.shape)
