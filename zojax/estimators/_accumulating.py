"""One estimate of several calls, each with a part of a batch: their measurements are averaged.

A coefficient is linear in the losses, and the loss of a batch is the mean of those of its parts. So
the mean of the coefficients is the coefficient of the whole batch, to rounding, and nothing of the
size of params waits for the last call. Where it is not linear, `Estimator.shape` makes it of the
mean losses.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zojax._measurement import Estimate, Probe
from zojax.estimators._estimator import Estimator


class Accumulated(NamedTuple):
    """What the calls since the last complete estimate measured.

    Attributes:
      calls: how many, shape (), int32.
      total: sum of their estimates, and of the estimator's states after them.
    """

    calls: jax.Array
    total: tuple[Estimate, Any]

    @classmethod
    def nothing(cls, estimator: Estimator) -> "Accumulated":
        """Before the first call."""
        shapes = jax.eval_shape(lambda: _measure_nothing(estimator))
        zeros = jax.tree.map(lambda out: jnp.zeros(out.shape, out.dtype), shapes)
        return cls(jnp.zeros((), jnp.int32), zeros)

    def add(self, measured: tuple[Estimate, Any]) -> "Accumulated":
        """With one call more."""
        return Accumulated(self.calls + 1, jax.tree.map(_added, self.total, measured))

    def mean(self) -> tuple[Estimate, Any]:
        """The estimate of all calls together, and the estimator's state after it."""
        return jax.tree.map(lambda total: _divided(total, self.calls), self.total)


def no_losses(estimator: Estimator) -> jax.Array:
    """Zeros in the place of the losses of a call, (n,)."""
    values = jax.eval_shape(lambda: _measure_nothing(estimator)[0].values)
    return jnp.zeros(values.shape, values.dtype)


def _measure_nothing(estimator: Estimator) -> tuple[Estimate, Any]:
    """What an estimator returns, for its shapes."""

    def along(radii: jax.Array) -> jax.Array:
        return jnp.zeros((estimator.num_queries, *jnp.shape(radii)[-1:]))

    probe = Probe(lambda: jnp.zeros(()), along, jnp.int32(0), lambda: jax.random.key(0))
    return estimator.estimate(estimator.init(), probe)


def _added(total: jax.Array, new: jax.Array) -> jax.Array:
    """The sum; counts and keys are the same in every call, and not added up."""
    if not jnp.issubdtype(total.dtype, jnp.floating):
        return new
    return total + new.astype(total.dtype)


def _divided(total: jax.Array, calls: jax.Array) -> jax.Array:
    return total / calls if jnp.issubdtype(total.dtype, jnp.floating) else total
