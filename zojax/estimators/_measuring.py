"""Measuring the losses of a step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

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

    def losses(self, loss: Callable[[Params], Any], params: Params) -> tuple[Losses, list[int]]:
        """What may be asked of a loss, and a list that grows by how many losses each answer took.

        Answers are averaged over the devices that have parts of a batch.
        """
        taken: list[int] = []

        def averaged(losses: jax.Array) -> jax.Array:
            taken.append(losses.size)
            if self.axis_name is not None:
                losses = jax.lax.pmean(losses, self.axis_name)
            return as_buffer(losses)

        def base() -> jax.Array:
            value, _ = _checks.value_and_aux(loss(params), has_aux=self.has_aux)
            return averaged(value)

        def along(directions: Any, radii: jax.Array) -> jax.Array:
            out = evaluate(
                loss,
                params,
                directions,
                radii,
                chunk_size=self.chunk_size,
                has_aux=self.has_aux,
                axes=self.axes,
            )
            return averaged(out[0] if self.has_aux else out)

        return Losses(base, along), taken
