"""Measuring the losses of a step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Losses
from zojax._mesh import Axes, AxisName
from zojax._schedule import as_buffer
from zojax._typing import Params
from zojax.evaluation import evaluate


class Measure(NamedTuple):
    """How losses are evaluated: the arguments of `zojax.estimate_gradient` of the same names."""

    chunk_size: int
    has_aux: bool
    axis_name: AxisName | None
    axes: Axes

    def losses(
        self, loss: Callable[[Params], Any], params: Params
    ) -> tuple[Losses, list["Answer"]]:
        """What may be asked of a loss, and a list that grows by every answer.

        Answers are averaged over the devices that have parts of a batch.
        """
        answers: list[Answer] = []

        def averaged(losses: jax.Array, when: ArrayLike = True) -> jax.Array:  # noqa: FBT002
            if self.axis_name is not None:
                losses = jax.lax.pmean(losses, self.axis_name)
            answers.append(Answer.of(as_buffer(losses), when))
            return answers[-1].losses

        def base() -> jax.Array:
            value, _ = _checks.value_and_aux(loss(params), has_aux=self.has_aux)
            return averaged(value)

        def along(
            directions: Any,
            radii: jax.Array,
            when: ArrayLike = True,  # noqa: FBT002
        ) -> jax.Array:
            def evaluated() -> jax.Array:
                out = evaluate(
                    loss,
                    params,
                    directions,
                    radii,
                    chunk_size=self.chunk_size,
                    has_aux=self.has_aux,
                    axes=self.axes,
                )
                return out[0] if self.has_aux else out

            if when is True:
                return averaged(evaluated())
            shape = jax.eval_shape(evaluated)
            nothing = jnp.zeros(shape.shape, shape.dtype)
            return averaged(jax.lax.cond(when, evaluated, lambda: nothing), when)

        return Losses(base, along), answers


class Answer(NamedTuple):
    """What a question for losses was answered.

    Attributes:
      losses: of any shape, zeros where nothing was evaluated.
      count: how many were evaluated, shape (), int32.
    """

    losses: jax.Array
    count: jax.Array

    @classmethod
    def of(cls, losses: jax.Array, when: ArrayLike) -> "Answer":
        """Evaluated, or not unless `when`."""
        return cls(losses, jnp.where(when, losses.size, 0).astype(jnp.int32))
