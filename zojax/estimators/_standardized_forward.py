"""Forward differences in units of the spread of their own losses."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def standardized_forward(
    radius: ArrayLike = 1e-3,
    num_queries: int = 8,
    ddof: int = 1,
    reuse: bool = False,  # noqa: FBT001, FBT002
) -> Estimator:
    """One-sided differences over the standard deviation of the losses that they are made of.

        l_k = f(x + r z_k) - f(x),    k = 1...K                                                (1)
        σ²  = Σ_j (l_j - mean l)² / (n - ddof)                                                 (2)
        ĝ   = (1/K) Σ_k l_k z_k / σ                                                            (3)

    with the n = K differences of this step in (2), or with `reuse` also those of the last step that
    had finite ones, n = 2 K. On a linear loss with gradient g and E[z zᵀ] = I, E[σ²] = r² ‖g‖², so
    ĝ is about the estimate of `forward` over ‖g‖: its length depends neither on the scale of the
    loss nor on r. A loss that is added to, or multiplied with a number above 0, has the same ĝ.

    Where σ is 0 so is ĝ. Costs K + 1 loss evaluations a step; stores nothing, with `reuse` K
    scalars.

    Args:
      radius: r, above 0.
      num_queries: K, at least 2; with `reuse` at least 1.
      ddof: 1 or 0.
      reuse: whether the differences of the step before count in σ.

    Raises:
      ValueError: if a number is out of range.

    Source: arXiv:2506.09034 (FZOO); with `reuse` its FZOO-R.
    """
    _checks.flag(reuse=reuse)
    _checks.positive(radius=radius)
    _checks.at_least(1 if reuse else 2, num_queries=num_queries)
    _checks.one_of((0, 1), ddof=ddof)

    def init() -> Any:
        # What is not there yet is no number.
        return jnp.full(num_queries, jnp.nan, jnp.result_type(float)) if reuse else ()

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        base = probe.base()
        losses = probe.along(radius)
        differences = losses - base
        kept = differences.astype(state.dtype) if reuse else state
        return Estimate(differences / num_queries, losses, base), kept

    def shape(state: Any, measured: Estimate) -> jax.Array:
        differences = measured.losses - measured.base
        seen = jnp.concatenate([differences, state]) if reuse else differences
        known = jnp.isfinite(seen).at[:num_queries].set(True)
        mean = jnp.mean(seen, where=known)
        squares = jnp.sum((seen - mean) ** 2, where=known)
        spread = jnp.sqrt(squares / jnp.maximum(jnp.sum(known) - ddof, 1))
        return jnp.where(spread == 0, 0.0, differences / (num_queries * spread))

    return Estimator(num_queries, init, estimate, shape=shape)
