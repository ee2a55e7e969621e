"""Central differences."""

from typing import Any

import jax.numpy as jnp
import optax

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def central(radius: optax.ScalarOrSchedule = 1e-3, num_queries: int = 1) -> Estimator:
    """The mean of K two-point slopes.

        s_k = [f(x + r z_k) - f(x - r z_k)] / (2 r),     ĝ = (1/K) Σ_k s_k z_k              (1)

    Exact slopes on quadratics for every r; else the error is O(r²). On a linear loss with gradient
    g and gaussian directions in d dimensions E‖ĝ‖² = (d + K + 1)/K ‖g‖².

    Costs 2 K loss evaluations a step; stores nothing.

    Args:
      radius: r, above 0, or a schedule of such, as optax has them.
      num_queries: K, at least 1.

    Raises:
      ValueError: if a number is out of range.

    Source: Malladi et al., arXiv:2305.17333, Definition 1 (SPSA) and Algorithm 2 (n-SPSA).
    """
    if not callable(radius):
        _checks.positive(radius=radius)
    _checks.at_least(1, num_queries=num_queries)

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        r = radius(probe.step) if callable(radius) else radius
        losses = probe.along(r * jnp.array([1.0, -1.0]))
        slopes = (losses[:, 0] - losses[:, 1]) / (2 * r)
        return Estimate(slopes / num_queries, losses), state

    return Estimator(num_queries, lambda: (), estimate)
