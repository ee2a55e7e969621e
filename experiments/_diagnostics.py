"""What a run says about itself where it is asked to, at every line of its log.

    curvature          z·H z of the loss of the last batch along one gaussian direction; Tr H on
                       average
    edge_share         the learning rate over 2 K / Tr H, above which plain descent cannot stay;
                       of descent alone
    update_cosine      of the ways between the last three lines: above 0 the run goes on where it
                       went, at 0 it wanders, below 0 it swings

A line costs three loss evaluations, which are not counted among those of training, and one reading
of the weights.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._curvature import measure_curvature
from experiments._groups import Group
from experiments._job import Job, run_key
from experiments._methods import METHODS
from experiments._settings import Settings
from experiments._sketch import cosine, sketch


class Diagnostics:
    """Measures between updates; changes nothing of them.

    Args:
      settings: of the run.
      job: its data and frozen weights.
      loss: `(params, frozen, batch) -> ()`.
    """

    def __init__(self, settings: Settings, job: Job, loss: Callable[..., jax.Array]):
        self._settings, self._frozen = settings, job.frozen
        self._places: list[jax.Array] = []  # sketches of the params at the last lines

        @jax.jit
        def measure(params, frozen, batch, step):
            curvature = measure_curvature(
                lambda params: loss(params, frozen, batch),
                params,
                run_key(settings),
                step,
                radius=settings.radius,
                num_directions=1,
                axes=job.layout.step_axes,
            )
            return curvature, sketch(params)

        self._measure = measure

    def read(self, step: int, params: Any, group: Group) -> dict[str, float]:
        """Returns the numbers of a line; the device is waited for.

        Args:
          step: how many updates made the params.
          params: after them.
          group: the last batches of the run.
        """
        batch = group.batch
        if group.size > 1:
            batch = jax.tree.map(lambda stacked: stacked[-1], batch)
        curvature, place = self._measure(params, self._frozen, batch, jnp.int32(step))
        numbers = {"curvature": float(curvature)}
        if METHODS[self._settings.method].is_descent:
            rate = self._settings.rate
            rate = float(rate(step - 1)) if callable(rate) else rate
            edge = 2 * self._settings.num_queries
            numbers["edge_share"] = rate * float(curvature) / edge
        self._places = [*self._places[-2:], place]
        if len(self._places) == 3:
            first, second, third = self._places
            found = float(cosine(second - first, third - second))
            if np.isfinite(found):
                numbers["update_cosine"] = found
        return numbers
