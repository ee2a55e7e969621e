"""What is done with a run where somebody looks at it between two updates."""

import math
from typing import Any, NamedTuple

from experiments._averaging import averaged
from experiments._endings import Ending, diagnose
from experiments._groups import Group
from experiments._progress import ProgressView, Window
from experiments._run import Run
from experiments._seed_logs import RunLog
from zojax import training


class Last(NamedTuple):
    """What the updates of a run leave.

    Attributes:
      step: how many there are.
      params: after the last one.
      state: after the last one.
      ending: why the last one came too early; None where all is well.
    """

    step: int
    params: Any
    state: Any
    ending: Ending | None = None


class Observed:
    """A run between its updates.

    Args:
      run: what stays the same.
      log: of the seeds.
      window: what was measured since the last look.
      view: what the user sees.

    Attributes:
      last: what its updates leave; None as long as there are more to come.
    """

    def __init__(self, run: Run, log: RunLog, window: Window, view: ProgressView):
        self.run, self.log, self.window, self.view = run, log, window, view
        self.last: Last | None = None

    def look(
        self,
        step: int,
        numbers: dict[str, float],
        params: Any,
        state: Any,
        group: Group,
        *,
        stops: bool,
    ) -> bool:
        """Writes down, evaluates and saves what is due, and says whether it evaluated.

        Args:
          step: that is done.
          numbers: that the window has read.
          params: after the step.
          state: after the step.
          group: the last batches.
          stops: whether a signal asks the run to stop here.
        """
        run, view = self.run, self.view
        self.log.append(self.window.losses)
        training.check_replicas(params)
        if run.diagnostics is not None:
            numbers |= run.diagnostics.read(step, params, group)
        run.record(step, **numbers)
        view.log(step, numbers)
        ending = diagnose(run.settings, params, self.window, step=step)
        loss = None
        if run.evaluates_at(step) or ending:
            spent = numbers["loss_evaluations"]
            dev = run.evaluate(
                averaged(params, state),
                "validation",
                step=step,
                spent=spent,
                watch=view.evaluating,
            )
            loss = dev.loss
            view.evaluated(step, dev.score, loss, numbers)
        due = run.saves_at(step, loss) or stops or ending is not None
        known = math.nan if loss is None else loss
        if due or loss is not None:
            self.log.mark(params, known)
        if due:
            run.checkpoints.save(step, params, state, loss=known)
        if ending or (loss is not None and run.is_over(step)):
            self.last = Last(step, params, state, ending)
        return loss is not None
