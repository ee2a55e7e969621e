"""What an estimator is: it asks for losses and turns them into coefficients."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from zojax._measurement import Estimate, Probe


class Estimator(NamedTuple):
    """Measurements → coefficients.

    An estimator of your own is a function of a `zojax.Probe`: the mean of slopes at a radius that
    is drawn anew in every step, say, r = r₀ u with u uniform on (½, 1):

    >>> import jax, jax.numpy as jnp, optax, zojax
    >>> def random_radius(radius, num_queries=1):
    ...     def estimate(state, probe):
    ...         r = radius * jax.random.uniform(probe.key(), minval=0.5)
    ...         losses = probe.along(r * jnp.array([1.0, -1.0]))  # (num_queries, 2)
    ...         slopes = (losses[:, 0] - losses[:, 1]) / (2 * r)
    ...         return zojax.Estimate(slopes / num_queries, losses), state
    ...
    ...     return zojax.Estimator(num_queries, lambda: (), estimate)
    >>> tx = optax.chain(
    ...     zojax.estimate_gradient(jax.random.key(0), zojax.gaussian(), random_radius(1e-2)),
    ...     optax.scale_by_learning_rate(0.1),
    ... )
    >>> x = jnp.ones(2)
    >>> loss = lambda x: jnp.sum(x**2)
    >>> updates, _ = tx.update(None, tx.init(x), x, value_fn=loss)
    >>> bool(loss(optax.apply_updates(x, updates)) < loss(x))
    True

    Attributes:
      num_queries: K, directions a step.
      init: `() -> state`; what is remembered of earlier steps, () if nothing is.
      estimate: `(state, probe) -> (estimate, state)`.
      history: H, earlier steps whose directions are used once more.
      has_curvature: whether its estimates have `curvatures`; their mean is then
        `mean_curvature` in the state of `zojax.estimate_gradient`, and `curvature` in what
        `zojax.chain` tells the links.
      shape: `(state, estimate) -> coefficients`, for coefficients that are no linear functions of
        the losses (ranks, a division by their spread): made once, of the losses of the whole batch
        (see `accumulate` of `zojax.estimate_gradient`), with the state before the step. None takes
        those of the estimate.
    """

    num_queries: int
    init: Callable[[], Any]
    estimate: Callable[[Any, Probe], tuple[Estimate, Any]]
    history: int = 0
    has_curvature: bool = False
    shape: Callable[[Any, Estimate], jax.Array] | None = None
