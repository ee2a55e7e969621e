"""The average of the last estimates, at the price of regenerating their directions."""

from typing import Any

import jax
import jax.numpy as jnp

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def moving_average(estimator: Estimator, history: int) -> Estimator:
    """The mean of an estimator's last N + 1 estimates, of fewer in the first N steps.

        ĝ_t = (1/B) Σ_τ Σ_k c_{τ,k} z_{τ,k},    τ = t - B + 1 ... t,    B = min(t, N + 1)        (1)

    with steps t = 1, 2, ... A step without a finite estimate is left out, now and as long as it is
    remembered.

    Costs the loss evaluations of `estimator`, and (N + 1) K regenerations instead of K. Stores
    (N + 1) K scalars.

    Args:
      estimator: one without a history of its own.
      history: N, at least 1.

    Raises:
      TypeError: if `estimator` is something else.
      ValueError: if `history` is below 1, or `estimator` has one. In `update` if the state that was
        restored has another length.

    Source: the window of arXiv:2506.14460; around `central` it is what its code runs on language
    models (`zojax.zoar` says why), around `forward` its comparison ZoHS.
    """
    _checks.instance(Estimator, "zojax.central(radius=1e-3)", estimator=estimator)
    _checks.at_least(1, history=history)
    if estimator.history:
        raise ValueError(
            f"the estimator has a history of {estimator.history} steps already; give "
            "moving_average one without, such as zojax.central(radius)"
        )
    shape = (history + 1, estimator.num_queries)

    def init() -> Any:
        # Steps that were not taken yet are not finite.
        return estimator.init(), jnp.full(shape, jnp.nan, jnp.result_type(float))

    def estimate(state: Any, probe: Probe) -> tuple[Estimate, Any]:
        before, kept = state
        _checks.stored_shape(kept, shape, "history and num_queries")
        now, after = estimator.estimate(before, probe)
        kept = jnp.concatenate([now.coefficients[None].astype(kept.dtype), kept[:-1]])
        taken = jnp.all(jnp.isfinite(kept), axis=1, keepdims=True)
        mean = jnp.where(taken, kept, 0) / jnp.sum(taken)
        # A step without an estimate is not taken on old estimates alone.
        usable = jnp.where(taken[0], mean, jnp.nan)
        after = jax.tree.map(lambda new, old: jnp.where(taken[0, 0], new, old), after, before)
        return now._replace(coefficients=usable), (after, kept)

    return estimator._replace(init=init, estimate=estimate, history=history)
