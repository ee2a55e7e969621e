"""One-sided evaluations that are each other's baseline."""

from typing import Any

import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def leave_one_out(radius: ArrayLike = 1e-3, num_queries: int = 2) -> Estimator:
    """Every loss minus the mean of the others, and no evaluation at params.

        f_k = f(x + r z_k),    ĝ = (1/K) Σ_k (f_k - mean_{j≠k} f_j) z_k / r
                                 = Σ_k (f_k - mean_j f_j) z_k / (r (K - 1))                    (1)

    Exact on average for linear losses and every K: the others do not depend on z_k. On such a loss
    with gradient g and gaussian directions in d dimensions E‖ĝ - g‖² = (d + 1)/(K - 1) ‖g‖², that
    of `forward` with the same K evaluations and a direction less. With K = 2 it is the difference
    of the losses along the difference of the directions.

    Costs K loss evaluations a step; stores nothing.

    Args:
      radius: r, above 0.
      num_queries: K, at least 2.

    Raises:
      ValueError: if a number is out of range.

    Source: the leave-one-out baseline of REINFORCE (Kool, van Hoof, Welling, "Buy 4 REINFORCE
    samples, get a baseline for free!", ICLR 2019 workshop), as in arXiv:2511.07971.
    """
    _checks.positive(radius=radius)
    _checks.at_least(2, num_queries=num_queries)

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        losses = probe.along(radius)
        weights = losses - jnp.mean(losses)
        return Estimate(weights / (radius * (num_queries - 1)), losses), state

    return Estimator(num_queries, lambda: (), estimate)
