"""What an update costs beside plain evaluations of the same loss."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import zojax
from zojax import training


class Costs(NamedTuple):
    """An update beside plain losses.

    Attributes:
      step_seconds: time of an update.
      forward_seconds: time of one plain loss of the same batch.
      evaluations: losses that an update evaluates.
      step_bytes: weights, optimizer state and temporaries of an update.
      forward_bytes: weights and temporaries of one plain loss of the doubled batch.
      state_bytes: of the optimizer state.
      weight_bytes: of all weights, trained or not.
    """

    step_seconds: float
    forward_seconds: float
    evaluations: int
    step_bytes: int
    forward_bytes: int
    state_bytes: int
    weight_bytes: int

    @property
    def step_over_forwards(self) -> float:
        """1 is the limit: an update takes the time of the losses that it evaluates."""
        return self.step_seconds / (self.evaluations * self.forward_seconds)

    @property
    def memory_over_inference(self) -> float:
        """1 is the limit: two points of a batch at a time, and no second copy of the weights."""
        return self.step_bytes / self.forward_bytes

    @property
    def state_over_weights(self) -> float:
        """0 for what regenerates its directions, 2 for Adam's moments of all weights."""
        return self.state_bytes / self.weight_bytes


def measure_costs(
    step: Callable[..., Any],
    loss: Callable[..., jax.Array],
    params: Any,
    state: Any,
    frozen: Any,
    batch: dict[str, np.ndarray],
    put: Callable[[dict[str, np.ndarray], int], dict[str, jax.Array]],
    *,
    axis: int = 0,
    **told: Any,
) -> Costs:
    """Measures a step of `training.make_step`; `params` and `state` are used up by it.

    Bytes are those of one device. Of several processes all have to measure.

    Args:
      step: `(params, state, frozen=, batch=) -> (params, state, measured)`.
      loss: `(params, frozen, batch) -> ()`.
      params: of the step.
      state: of the step.
      frozen: of the step.
      batch: this process's rows.
      put: brings a batch to the devices, given along which axis its rows lie.
      axis: that one; 1 for runs side by side, whose costs are together those of an update.
      **told: what the step is told besides.
    """
    forward = jax.jit(loss)
    doubled = {name: np.concatenate([array] * 2, axis) for name, array in batch.items()}
    doubled, batch = put(doubled, axis), put(batch, axis)
    data = {"frozen": frozen, "batch": batch, **told}
    step_bytes = training.peak_bytes(step.lower(params, state, **data).compile())
    forward_bytes = training.peak_bytes(forward.lower(params, frozen, doubled).compile())
    sizes = {"state_bytes": _bytes(state), "weight_bytes": _bytes((params, frozen))}
    start = _evaluations(state)

    def update():
        nonlocal params, state
        params, state, _ = step(params, state, **data)
        return params

    update()
    evaluations = _evaluations(state) - start
    seconds = training.median_seconds(
        {"step": update, "forward": lambda: forward(params, frozen, batch)}
    )
    return Costs(
        seconds["step"], seconds["forward"], evaluations, step_bytes, forward_bytes, **sizes
    )


def _evaluations(state: Any) -> int:
    """Losses that a run has evaluated, of several the first one."""
    return int(np.ravel(zojax.state_field(state, "num_evaluations"))[0])


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
