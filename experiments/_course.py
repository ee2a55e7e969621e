"""The course of a run but for its updates: how it begins, and how it ends."""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from rich.console import Console

import zojax
from experiments import tasks
from experiments._averaging import averaged
from experiments._diagnostics import Diagnostics
from experiments._endings import Ending, conclude
from experiments._interruption import Interruption
from experiments._job import Job
from experiments._looks import Last
from experiments._metrics_writers import open_writers
from experiments._precision import warn_of_small_radius, warn_of_small_updates
from experiments._processes import is_first
from experiments._run import Run
from experiments._saving import Cadence
from experiments._seed_logs import RunLog, describe_run
from experiments._settings import Settings
from zojax import training


class Begun(NamedTuple):
    """A run before the first of its updates that are left.

    Attributes:
      run: what stays the same.
      log: of the seeds.
      start: how many updates there are.
      num_nonfinite: of them that were withheld.
      untrained: fingerprint of the params before all updates.
    """

    run: Run
    log: RunLog
    start: int
    num_nonfinite: int
    untrained: np.ndarray


class Ended(NamedTuple):
    """A run after all of its updates.

    Attributes:
      ending: how it ended.
      best_step: after so many updates the validation loss was the least.
      params: at this step.
      state: at this step.
      loss_evaluations: spent on training.
      num_nonfinite: updates that were withheld.
    """

    ending: Ending
    best_step: int
    params: Any
    state: Any
    loss_evaluations: int
    num_nonfinite: int

    @property
    def model(self) -> Any:
        """The params that come out."""
        return averaged(self.params, self.state)


def begin(
    stack: contextlib.ExitStack,
    settings: Settings,
    job: Job,
    params: Any,
    tx: optax.GradientTransformationExtraArgs,
    loss: Callable[..., jax.Array],
    judge: Callable[..., tasks.Evaluation],
    console: Console,
    interruption: Interruption,
    *,
    side_by_side: bool = False,
) -> tuple[Begun, Any, Any]:
    """Opens what a run writes, evaluates what is there or restores the latest checkpoint.

    Args:
      stack: closes what was opened.
      settings: of the run.
      job: its data.
      params: before all updates; may be used up.
      tx: its transformation.
      loss: `(params, frozen, batch) -> ()`.
      judge: `(params, split, watch=...) -> Evaluation`.
      console: where the user looks.
      interruption: signals that ask the run to stop.
      side_by_side: whether its updates are made with those of other runs.

    Returns:
      The run, and the params and state that it goes on with.
    """
    checkpoints = stack.enter_context(_checkpoints(settings))
    writers = stack.enter_context(_writers(settings, checkpoints))
    diagnostics = Diagnostics(settings, job, loss) if settings.diagnostics else None
    run = Run(
        *(settings, job, judge, checkpoints, writers, diagnostics, console, interruption),
        cadence=Cadence(settings),
    )
    # Under jit, no two leaves of the state share a buffer, and both may be donated.
    state = jax.jit(tx.init, out_shardings=job.layout.of_state(tx, params))(params)
    weights = (job.graphdef, params, job.frozen)
    header = describe_run(settings, *weights, state, side_by_side=side_by_side)
    untrained = training.fingerprint(params, rounded=True)
    start, params, state = run.begin(params, state)
    warn_of_small_radius(console, params, settings.radius)
    if settings.dtype != "float32" and settings.update_precision == "nearest":
        sizes = training.make_update_sizes(tx, loss)
        first = job.layout.assemble(run.batches[settings.accumulate * start])
        warn_of_small_updates(console, params, sizes(params, state, frozen=job.frozen, batch=first))
    log = stack.enter_context(RunLog.open(settings, header, start, console))
    num_nonfinite = int(zojax.state_field(state, "num_nonfinite"))
    return Begun(run, log, start, num_nonfinite, untrained), params, state


def end(begun: Begun, last: Last) -> Ended:
    """Chooses the best checkpoint of a run, and evaluates it; the params of the last are used up.

    Args:
      begun: the run.
      last: what its updates left.
    """
    run, (done, params, state, ending) = begun.run, last
    spent = int(zojax.state_field(state, "num_evaluations")) // run.settings.accumulate
    num_nonfinite = int(zojax.state_field(state, "num_nonfinite"))
    ending = ending or conclude(
        run.settings,
        step=done,
        num_nonfinite=num_nonfinite,
        moved=bool((training.fingerprint(params, rounded=True) != begun.untrained).any()),
        best_loss=run.checkpoints.best_loss,
    )
    ended = Ended(ending, *run.best(params, state), spent, num_nonfinite)
    run.evaluate(ended.model, "test", step=done, spent=spent)
    return ended


def _checkpoints(settings: Settings) -> training.Checkpoints:
    kept = {"keep_last": settings.keep_last, "keep_best": settings.keep_best}
    return training.Checkpoints(settings.out / "checkpoints", **kept)


def _writers(settings: Settings, checkpoints: training.Checkpoints) -> Any:
    """Where the numbers of the run go; nowhere, in a process that writes none."""
    if not is_first():
        return contextlib.nullcontext([])
    return open_writers(settings, checkpoints.latest_step)
