"""The loop of a run: updates, and what is done between them."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from experiments._averaging import averaged
from experiments._endings import Ending, diagnose
from experiments._progress import ProgressView, Window
from experiments._run import Run
from experiments._seed_logs import RunLog
from zojax import training


class Last(NamedTuple):
    """What the loop leaves.

    Attributes:
      step: how many updates there are.
      params: after the last one.
      state: after the last one.
      ending: why the last one came too early; None where all is well.
    """

    step: int
    params: Any
    state: Any
    ending: Ending | None


def train_from(
    run: Run, update: Callable, log: RunLog, start: int, params: Any, state: Any
) -> Last:
    """Makes the updates that are left.

    Args:
      run: what stays the same.
      update: `(params, state, group) -> (params, state, measured)`.
      log: of the seeds.
      start: how many updates there are.
      params: after them; used up.
      state: after them; used up.

    Raises:
      Stopped: after a step and its checkpoint, if a signal asked for it.
    """
    done, calls, ending = start, run.settings.accumulate, None
    if run.is_out_of_patience(done):
        return Last(done, params, state, ending)
    window = Window(calls, run.difference, int(optax.tree.get(state, "num_nonfinite")))
    names = {"metric": run.metric, "unit": run.unit}
    with ProgressView(run.console, steps=run.settings.steps, step=start, **names) as view:
        for group in run.groups_from(start):
            params, state, measured = update(params, state, group)
            # Other processes have about as many tokens as this one.
            window.add(measured, group.tokens * jax.process_count())

            if group.last % calls:
                continue
            done = group.last // calls
            looks = run.logs_at(done)
            stopping = run.interruption.stop_after(looking=looks)
            if not (looks or stopping):
                continue  # the host does not wait for the device
            numbers = window.read(done)
            log.append(window.losses)
            training.check_replicas(params)
            if run.diagnostics is not None:
                numbers |= run.diagnostics.read(done, params, group)
            run.record(done, **numbers)
            view.log(done, numbers)
            ending = diagnose(run.settings, params, window, step=done)
            loss = None
            if run.evaluates_at(done) or ending:
                spent = numbers["loss_evaluations"]
                dev = run.evaluate(
                    averaged(params, state),
                    "validation",
                    step=done,
                    spent=spent,
                    watch=view.evaluating,
                )
                loss = dev.loss
                view.evaluated(done, dev.score, loss, numbers)
            due = run.saves_at(done, loss) or stopping is not None or ending is not None
            known = math.nan if loss is None else loss
            if due or loss is not None:
                log.mark(params, known)
            if due:
                run.checkpoints.save(done, params, state, loss=known)
            if stopping is not None:
                run.stop(done, stopping)
            if ending or (loss is not None and run.is_out_of_patience(done)):
                break
            if loss is not None:
                window.restart_clock()
    return Last(done, params, state, ending)
