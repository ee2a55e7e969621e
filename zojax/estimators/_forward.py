"""Forward differences with one base evaluation for all directions."""

from typing import Any

from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def forward(radius: ArrayLike = 1e-3, num_queries: int = 1) -> Estimator:
    """The mean of K one-sided slopes.

        s_k = [f(x + r z_k) - f(x)] / r,     ĝ = (1/K) Σ_k s_k z_k                            (1)

    Exact slopes on linear losses; else the error is O(r). Per evaluation it has about half the
    second moment of `central` for large K, and pays for it with that bias.

    Costs K + 1 loss evaluations a step; stores nothing.

    Args:
      radius: r, above 0.
      num_queries: K, at least 1.

    Raises:
      ValueError: if a number is out of range.

    Source: Nesterov and Spokoiny, "Random gradient-free minimization of convex functions",
    Foundations of Computational Mathematics 17, 2017.
    """
    _checks.positive(radius=radius)
    _checks.at_least(1, num_queries=num_queries)

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        base = probe.base()
        losses = probe.along(radius)
        slopes = (losses - base) / radius
        return Estimate(slopes / num_queries, losses, base), state

    return Estimator(num_queries, lambda: (), estimate)
