"""Central differences in units of their own spread."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def standardized_central(
    radius: ArrayLike = 1e-3, num_queries: int = 8, epsilon: ArrayLike = 1e-8
) -> Estimator:
    """The mean of two-point slopes, whose differences are divided by their standard deviation.

        δ_k = f(x + r z_k) - f(x - r z_k),    k = 1...K                                        (1)
        σ²  = (1/K) Σ_k (δ_k - mean δ)²                                                        (2)
        ĝ   = (1/K) Σ_k δ_k / [2 r (σ + ε)] z_k                                                (3)

    On a linear loss with gradient g and E[z zᵀ] = I, E[σ²] is about 4 r² ‖g‖², so ĝ is about the
    estimate of `central` over 2 r ‖g‖. Where all δ are equal there is no spread to speak of, and ĝ
    is 0. A number that is added to the loss, or a factor above 0, changes nothing, up to ε.

    Costs 2 K loss evaluations a step; stores nothing.

    Args:
      radius: r, above 0.
      num_queries: K, at least 2.
      epsilon: ε, at least 0.

    Raises:
      ValueError: if a number is out of range.

    Source: arXiv:2606.02857 (GRZO).
    """
    _checks.positive(radius=radius)
    _checks.at_least(2, num_queries=num_queries)
    _checks.not_negative(epsilon=epsilon)

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        losses = probe.along(radius * jnp.array([1.0, -1.0]))
        slopes = (losses[:, 0] - losses[:, 1]) / (2 * radius)
        return Estimate(slopes / num_queries, losses), state

    def shape(state: Any, measured: Estimate) -> jax.Array:
        del state
        differences = measured.losses[:, 0] - measured.losses[:, 1]
        spread = jnp.std(differences)
        scaled = differences / (2 * radius * num_queries * (spread + epsilon))
        return jnp.where(spread == 0, 0.0, scaled)

    return Estimator(num_queries, lambda: (), estimate, shape=shape)
