"""Central differences, and second ones along the same directions."""

from typing import Any

import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def central_with_curvature(radius: ArrayLike = 1e-3, num_queries: int = 1) -> Estimator:
    """The mean of K two-point slopes, and the curvature along each direction.

        s_k = [f(x + r z_k) - f(x - r z_k)] / (2 r),     ĝ = (1/K) Σ_k s_k z_k              (1)
        κ_k = [f(x + r z_k) + f(x - r z_k) - 2 f(x)] / r²                                   (2)

    Both are exact on quadratics, where κ = zᵀ H z with the Hessian H. In float32 rounding of the
    losses gives κ an error of about 2⁻²³ |f| / r².

    Costs 2 K + 1 loss evaluations a step; stores nothing. κ is what samplers see as `curvatures`,
    and its mean `mean_curvature` in the state.

    Args:
      radius: r, above 0.
      num_queries: K, at least 1.

    Raises:
      ValueError: if a number is out of range.

    Source: arXiv:2402.15173 (HiZOO).
    """
    _checks.positive(radius=radius)
    _checks.at_least(1, num_queries=num_queries)

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        base = probe.base()
        losses = probe.along(radius * jnp.array([1.0, -1.0]))
        above, below = losses[:, 0], losses[:, 1]
        slopes = (above - below) / (2 * radius)
        curvatures = (above - base + (below - base)) / radius**2
        return Estimate(slopes / num_queries, losses, base, curvatures), state

    return Estimator(num_queries, lambda: (), estimate, has_curvature=True)
