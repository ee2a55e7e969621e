"""Central differences at random radii, weighted by a kernel."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def kernel_weighted(radius: ArrayLike = 1e-3, num_queries: int = 1, order: int = 4) -> Estimator:
    """The mean of K two-point differences, each at a part s of the radius.

        s_k ~ U(0, 1),    c_k = W(s_k) [f(x + r s_k z_k) - f(x - r s_k z_k)] / (2 r)           (1)
        ĝ = (1/K) Σ_k c_k z_k

    with W an odd polynomial, E[s W] = 1:

        order 2    3 s                                   error O(r²), as `central`
        order 4    15/4 s (5 - 7 s²)                     E[s³ W] = 0: error O(r⁴)
        order 6    105/64 s (35 - 126 s² + 99 s⁴)        E[s⁵ W] = 0 too: error O(r⁶)

    Both factors of (1) are odd in s, so it is the same for s ~ U(-1, 1). The price of the smaller
    error is variance: on a linear loss E‖ĝ‖² with one query is E[(s W)²] = 1.8, 6.25, 13.25 times
    that of `central`, and noise of the losses counts E[W²] = 3, 18.75, 57.4 times. So it pays only
    where r² times the third derivatives is large: at wide radii.

    Costs 2 K loss evaluations a step; stores nothing.

    Args:
      radius: r, above 0.
      num_queries: K, at least 1.
      order: 2, 4 or 6.

    Raises:
      ValueError: if a number is out of range.

    Source: Mi et al., arXiv:2505.18886 (KerZOO); such kernels are those of Polyak and Tsybakov,
    "Optimal order of accuracy of search algorithms in stochastic optimization", Problems of
    Information Transmission 26, 1990.
    """
    _checks.positive(radius=radius)
    _checks.at_least(1, num_queries=num_queries)
    _checks.one_of((2, 4, 6), order=order)

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        s = jax.random.uniform(probe.key(), (num_queries, 1))
        losses = probe.along(radius * s * jnp.array([1.0, -1.0]))
        slopes = (losses[:, 0] - losses[:, 1]) / (2 * radius)
        return Estimate(kernel(s[:, 0], order) * slopes / num_queries, losses), state

    return Estimator(num_queries, lambda: (), estimate)


def kernel(s: jax.Array, order: int) -> jax.Array:
    """W(s) of (1), made of products alone, which every program rounds alike."""
    square = s * s
    if order == 2:
        return 3 * s
    if order == 4:
        return 15 / 4 * s * (5 - 7 * square)
    return 105 / 64 * s * (35 + square * (99 * square - 126))
