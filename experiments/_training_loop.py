"""The loop of a run, or of several side by side: updates, and looks between them."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

from experiments._course import Begun
from experiments._groups import Group
from experiments._interruption import Stopped
from experiments._looks import Last, Observed
from experiments._progress import ProgressView, Window


def train_from(begun: Begun, update: Callable, params: Any, state: Any) -> Last:
    """Makes the updates of a run that are left.

    Args:
      begun: the run.
      update: `(params, state, group) -> (params, state, measured)`.
      params: at its start; used up.
      state: at its start; used up.

    Raises:
      Stopped: after a step and its checkpoint, if a signal asked for it.
    """
    if begun.run.is_over(begun.start):
        return Last(begun.start, params, state)
    groups = begun.run.groups_from(begun.start)
    with observing(begun) as observed:
        train_together([observed], update, groups, params, state, lambda *trees: [trees])
    return observed.last


def train_together(
    observed: Sequence[Observed],
    update: Callable,
    groups: Iterable[Group],
    params: Any,
    state: Any,
    apart: Callable[[Any, Any], Sequence[tuple[Any, Any]]],
) -> None:
    """Makes updates of runs, whose looks are at the same steps, until each of them is over.

    A run that is over before the others is computed on, and nobody looks at it.

    Args:
      observed: the runs.
      update: of all of them, `(params, state, group) -> (params, state, measured)`.
      groups: their batches.
      params: of all of them; used up.
      state: of all of them; used up.
      apart: from params and state to those of each run.

    Raises:
      Stopped: after a step and its checkpoints, if a signal asked for it.
    """
    run = observed[0].run
    calls = run.settings.accumulate
    for group in groups:
        params, state, measured = update(params, state, group)
        # Other processes, and runs, have about as many tokens as this one.
        tokens = group.tokens * jax.process_count() // len(observed)
        for one in observed:
            one.window.add(measured, tokens)
        if group.last % calls:
            continue
        done = group.last // calls
        looks = run.logs_at(done)
        stopping = run.interruption.stop_after(looking=looks)
        if not (looks or stopping):
            continue  # the host does not wait for the device
        # All of them before the first one evaluates, which takes time.
        numbers = [one.window.read(done) for one in observed]
        evaluated = [
            one.look(done, read, *trees, group, stops=stopping is not None)
            for one, read, trees in zip(observed, numbers, apart(params, state), strict=True)
            if one.last is None
        ]
        if stopping is not None:
            for one in observed:
                one.run.leave_note(done, stopping)
            raise Stopped(stopping, done)
        if all(one.last for one in observed):
            break
        if any(evaluated):
            for one in observed:
                one.window.restart_clock()


@contextlib.contextmanager
def observing(begun: Begun, lane: int | None = None) -> Iterator[Observed]:
    """A run as the loop sees it, and the user on the screen.

    Args:
      begun: the run.
      lane: which one it is of several side by side; None if it is alone.
    """
    run = begun.run
    window = Window(run.settings.accumulate, run.difference, begun.num_nonfinite, lane)
    names = {"metric": run.metric, "unit": run.unit}
    with ProgressView(run.console, steps=run.settings.steps, step=begun.start, **names) as view:
        yield Observed(run, begun.log, window, view)
