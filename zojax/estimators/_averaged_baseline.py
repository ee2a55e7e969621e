"""One-sided differences against the average of recent losses, and recent queries used again."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


def averaged_baseline(
    radius: ArrayLike = 1e-3,
    num_queries: int = 10,
    history: int = 5,
    per_block: bool = False,  # noqa: FBT001, FBT002
    ddof: int = 1,
) -> Estimator:
    """The losses of this step and of `history` steps before it, against their own average.

    With y_{τ,k} = f(x_τ + r z_{τ,k}) of the steps τ = t - N ... t, n of them finite,

        b = (1/n) Σ_{τ,k} y_{τ,k},    ĝ = 1/(r (n - ddof)) Σ_{τ,k} (y_{τ,k} - b) z_{τ,k}       (1)

    or, with `per_block`, b_τ = the average of step τ alone and the divisor r Σ_τ (n_τ - ddof). No
    loss at x is needed. ddof = 1 makes (1) unbiased for the smoothed loss where nothing is reused;
    ddof = 0 shrinks it by (n - 1)/n. One average for all steps lets a loss that moves from step to
    step (a new batch, fast progress) into the estimate as noise of size (b_τ - b)/r; `per_block`
    does not, see equation (5) of the card of `zojax.zoar`.

    A loss that is not finite is left out, now and as long as it is remembered.

    Costs K loss evaluations a step. Stores (N + 1) K scalars; the directions of earlier steps are
    drawn again, (N + 1) K regenerations a step.

    Args:
      radius: r, above 0.
      num_queries: K, at least 1.
      history: N, earlier steps that are used again, at least 0.
      per_block: a baseline for each step instead of one for all.
      ddof: subtracted from the number of losses in the divisor, 0 or 1.

    Raises:
      ValueError: if a number is out of range, or no baseline is left: K = 1 with N = 0 or with
        `per_block`. In `update` if the state that was restored has other lengths.

    Source: Qiu, Xie, Yan, Yang, Shu, arXiv:2506.14460 (ZoAR).
    """
    _checks.flag(per_block=per_block)
    _checks.positive(radius=radius)
    _checks.at_least(1, num_queries=num_queries)
    _checks.at_least(0, history=history)
    if isinstance(ddof, bool) or not isinstance(ddof, int) or ddof not in (0, 1):
        raise ValueError(
            f"ddof must be 0 or 1, got {ddof!r}; under optax.inject_hyperparams name it in "
            "static_args"
        )
    if num_queries == 1 and (history == 0 or per_block):
        raise ValueError(
            f"num_queries must be at least 2 with history={history}, per_block={per_block}: the "
            "average of one loss is that loss, and every difference 0"
        )
    shape = (history + 1, num_queries)

    def init() -> jax.Array:
        # What is not there yet looks like a loss that was not finite.
        return jnp.full(shape, jnp.nan, jnp.result_type(float))

    def estimate(losses: jax.Array, probe: Probe) -> tuple[Estimate, jax.Array]:
        _checks.stored_shape(losses, shape, "history and num_queries")
        new = probe.along(radius)
        losses = jnp.concatenate([new[None].astype(losses.dtype), losses[:-1]])
        known = jnp.isfinite(losses)
        axis = 1 if per_block else None
        baseline = jnp.mean(losses, axis, keepdims=True, where=known)
        # A step without any loss has no average; and nobody asks for it.
        deviations = jnp.where(known, losses - jnp.where(known, baseline, 0), 0)
        counted = jnp.sum(known, axis)
        divisor = jnp.sum(jnp.maximum(counted - ddof, 0))
        coefficients = deviations / (radius * jnp.maximum(divisor, 1))
        # A step that measured nothing is not taken on old measurements alone.
        coefficients = jnp.where(jnp.any(known[0]), coefficients, jnp.nan)
        return Estimate(coefficients if history else coefficients[0], new), losses

    return Estimator(num_queries, init, estimate, history)
