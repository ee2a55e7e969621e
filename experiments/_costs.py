"""What an update costs beside plain evaluations of the same loss."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from zojax import training


class Costs(NamedTuple):
    """An update beside plain losses.

    Attributes:
      step_seconds: time of an update.
      forward_seconds: time of one plain loss of the same batch.
      step_bytes: weights and temporaries of an update.
      forward_bytes: weights and temporaries of one plain loss of the doubled batch.
    """

    step_seconds: float
    forward_seconds: float
    step_bytes: int
    forward_bytes: int

    @property
    def step_over_two_forwards(self) -> float:
        """1 is the limit for a method that evaluates two losses an update."""
        return self.step_seconds / (2 * self.forward_seconds)

    @property
    def memory_over_inference(self) -> float:
        """1 is the limit: two points of a batch at a time, and no second copy of the weights."""
        return self.step_bytes / self.forward_bytes


def measure_costs(
    step: Callable[..., Any],
    loss: Callable[[Any, Any], jax.Array],
    params: Any,
    state: Any,
    batch: dict[str, np.ndarray],
) -> Costs:
    """Measures a step of `training.make_step`; `params` and `state` are used up by it."""
    forward = jax.jit(loss)
    doubled = {name: np.concatenate([array, array]) for name, array in batch.items()}
    step_bytes = training.peak_bytes(step.lower(params, state, batch=batch).compile())
    forward_bytes = training.peak_bytes(forward.lower(params, doubled).compile())

    def update():
        nonlocal params, state
        params, state, _ = step(params, state, batch=batch)
        return params

    seconds = training.median_seconds({"step": update, "forward": lambda: forward(params, batch)})
    return Costs(seconds["step"], seconds["forward"], step_bytes, forward_bytes)
