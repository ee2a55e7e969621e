"""What the parts of a run share: its data, its programs, its folder."""

import contextlib
import dataclasses
import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import grain
import jax
from rich.console import Console

from experiments import tasks
from experiments._diagnostics import Diagnostics
from experiments._groups import LOG_EVERY, Group, groups
from experiments._interruption import Interruption
from experiments._job import Job
from experiments._metrics_writers import Writer
from experiments._processes import is_first
from experiments._saving import Cadence
from experiments._settings import Settings
from experiments._status import showing
from zojax import training


@dataclasses.dataclass(frozen=True)
class Run:
    """A run: what stays the same while params and state change.

    Attributes:
      settings: of the run.
      job: its data.
      judge: `(params, split, watch=...) -> Evaluation`.
      checkpoints: in the folder of the run.
      writers: of its numbers; none in a process that writes none.
      diagnostics: more numbers for them; None where nobody asked.
      console: where the user looks.
      interruption: signals that ask the run to stop.
      cadence: when a checkpoint is due.
    """

    settings: Settings
    job: Job
    judge: Callable[..., tasks.Evaluation]
    checkpoints: training.Checkpoints
    writers: list[Writer]
    diagnostics: Diagnostics | None
    console: Console
    interruption: Interruption
    cadence: Cadence

    @property
    def batches(self) -> grain.MapDataset:
        """This process's part of the batch of every call, the same one whenever it is asked for.

        It knows of which batch it is a part, because all parts are padded to the same length. With
        `accumulate`, so many calls in a row have the parts of the batch of one step.
        """
        data, layout = self.job.objective.data, self.job.layout
        return self.order.map(lambda whole: data.batch(layout.own(whole), whole))

    @property
    def order(self) -> grain.MapDataset:
        """The examples of the batch of every call, of all processes."""
        examples = len(self.job.objective.data.lengths())
        return training.batches(examples, self.settings.part_size, self.settings.seed)

    def groups_from(self, step: int) -> Iterator[Group]:
        """The batches of a step and all after it, in groups of calls."""
        return self.groups_of(self.batches, step, self.job.layout.assemble)

    def groups_of(self, batches: grain.MapDataset, step: int, put: Callable) -> Iterator[Group]:
        """Groups of calls that end wherever somebody looks, the next made in a thread meanwhile.

        Args:
          batches: of every call.
          step: after which the first one comes.
          put: brings them to the devices, see `experiments._groups`.
        """
        ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
        calls, size = self.settings.accumulate, self.settings.steps_per_call
        left = batches[calls * step : calls * self.settings.steps].to_iter_dataset(ahead)

        def stops(call: int) -> bool:
            return call % calls == 0 and self.logs_at(call // calls)

        size = 1 if size == 1 else calls * size
        return groups(left, size, start=calls * step, stops=stops, put=put)

    def logs_at(self, step: int) -> bool:
        """Whether the numbers of the last steps are read after a step."""
        every = self.settings.save_every
        saves = every is not None and step % every == 0
        return step % LOG_EVERY == 0 or saves or self.evaluates_at(step)

    def evaluates_at(self, step: int) -> bool:
        """Whether there is an evaluation after a step."""
        return step % self.settings.eval_every == 0 or step == self.settings.steps

    @property
    def difference(self) -> float | None:
        """What `Window` is told of the directions."""
        settings = self.settings
        return None if settings.radius is None else settings.radius * settings.num_queries

    @property
    def metric(self) -> str:
        """What the score of the task is called."""
        return self.job.task.metric.__name__

    @property
    def unit(self) -> str:
        """What the model reads."""
        return "img" if isinstance(self.job.task.kind, tasks.Images) else "tok"

    def evaluate(
        self,
        params: Any,
        split: str,
        *,
        step: int,
        spent: int,
        watch: Callable[[int, int], None] | None = None,
    ) -> tasks.Evaluation:
        """Evaluates on a split and records it under the step and the loss evaluations spent.

        Args:
          params: of the model.
          split: its name.
          step: how many updates made the params.
          spent: how many loss evaluations.
          watch: told how far it is; None: a line of its own shows that.
        """
        with contextlib.ExitStack() as stack:
            if watch is None:
                watch = stack.enter_context(showing(self.console, f"evaluating on {split}"))
            evaluation = self.judge(params, self.job.splits[split], watch=watch)
        found = {f"{split}_score": evaluation.score, f"{split}_loss": evaluation.loss}
        self.record(step, loss_evaluations=spent, **found)
        return evaluation

    def record(self, step: int, **numbers: float) -> None:
        """Writes metrics, in the process that does."""
        for writer in self.writers:
            writer.write(step, **numbers)

    def saves_at(self, step: int, loss: float | None) -> bool:
        """Whether a checkpoint is due after a step.

        Args:
          step: that is done.
          loss: on the validation split, if there was an evaluation.
        """
        return self.cadence.due(step, loss, self.checkpoints.best_loss)

    def leave_note(self, step: int, number: int) -> None:
        """Leaves a checkpoint that is whole, and a note of why there is no model.

        Args:
          step: the last one.
          number: of the signal that asked for it.
        """
        self.checkpoints.wait()
        if is_first():
            words = f"a signal ({signal.Signals(number).name}) asked for it after step {step}"
            note = {"ended": "stopped by signal", "explanation": words, "step": step}
            text = json.dumps(note, indent=2) + "\n"
            training.write_atomically(self.settings.out / "result.json", text)

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
        self.console.print(f"test {self.metric} before: {before.score:.1%}", highlight=False)
        return 0, params, state

    def is_over(self, step: int) -> bool:
        """Whether a step is the last: of all, or because the evaluations bettered nothing.

        That is so if the last ones, `patience` of them, did not.
        """
        patience, best = self.settings.patience, self.checkpoints.best_step
        out_of_patience = (
            patience is not None
            and best is not None
            and step - best >= patience * self.settings.eval_every
        )
        return out_of_patience or step >= self.settings.steps

    def best(self, params: Any, state: Any) -> tuple[int, Any, Any]:
        """Returns the step with the least validation loss, and its params and state."""
        self.checkpoints.check()  # it may have been on the disk for days
        step = self.checkpoints.best_step
        if step != self.checkpoints.latest_step:
            params, state = self._restore(step, params=params, state=state)
        return step, params, state

    def _restore(self, step: int, **trees: Any) -> list[Any]:
        """Gives the memory of the trees back before their successors come."""
        wanted = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding),
            trees,
        )
        for leaf in jax.tree.leaves(trees):
            leaf.delete()
        return self.checkpoints.restore(step, **wanted)
