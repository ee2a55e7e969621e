"""What the parts of a run share: its data, its programs, its folder."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from rich.console import Console

from experiments import tasks
from zojax import training

if TYPE_CHECKING:
    from experiments._settings import Settings


@dataclasses.dataclass(frozen=True)
class Run:
    """A run: what stays the same while params and state change.

    Attributes:
      settings: of the run.
      task: what the data are about.
      splits: train, validation and test.
      scores: jitted `(params, batch) -> (B, C)` scores of the options.
      checkpoints: in the folder of the run.
      metrics: in the folder of the run.
      console: where the user looks.
    """

    settings: "Settings"
    task: tasks.Task
    splits: dict[str, tasks.Encoded]
    scores: Callable[[Any, dict[str, np.ndarray]], jax.Array]
    checkpoints: training.Checkpoints
    metrics: training.MetricsWriter
    console: Console

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step, the same one whenever it is asked for."""
        split, size = self.splits["train"], self.settings.batch_size
        return split.batch(
            training.batch_indices(self.settings.seed, step, size, len(split.labels))
        )

    def evaluate(self, params: Any, split: str, *, step: int, spent: int) -> tasks.Evaluation:
        """Evaluates on a split and records it under the step and the loss evaluations spent."""
        # An update has two points of a batch in flight, so twice the batch fits as well.
        size = 2 * self.settings.batch_size
        evaluation = tasks.evaluate(
            self.scores, params, self.splits[split], self.task, batch_size=size
        )
        self.metrics.write(
            step,
            loss_evaluations=spent,
            **{f"{split}_score": evaluation.score, f"{split}_loss": evaluation.loss},
        )
        return evaluation

    def begin(self, params: Any, state: Any) -> tuple[int, Any, Any]:
        """Evaluates what is there before the first step, or restores the latest checkpoint.

        Returns:
          How many steps are done, and the params and state to go on with.
        """
        step = self.checkpoints.latest_step
        if step is not None:
            params, state = self._restore(step, params=params, state=state)
            self.console.print(f"resumed at step {step}", highlight=False)
            return step, params, state
        self.evaluate(params, "validation", step=0, spent=0)
        before = self.evaluate(params, "test", step=0, spent=0)
        self.console.print(f"test accuracy before: {before.score:.1%}", highlight=False)
        return 0, params, state

    def best(self, params: Any) -> tuple[int, Any]:
        """Returns the step with the least validation loss, and its params."""
        step = self.checkpoints.best_step
        if step != self.checkpoints.latest_step:
            (params,) = self._restore(step, params=params)
        return step, params

    def _restore(self, step: int, **trees: Any) -> list[Any]:
        """Gives the memory of the trees back before their successors come."""
        wanted = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding),
            trees,
        )
        for leaf in jax.tree.leaves(trees):
            leaf.delete()
        return self.checkpoints.restore(step, **wanted)
