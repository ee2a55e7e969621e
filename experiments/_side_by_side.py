"""Fine-tuning runs side by side: one compiled program makes an update of all of them.

They may differ in learning rate and seed alone, which change no shape. Each gets what it would get
alone, up to rounding: its batches, directions and evaluations, its checkpoints and files. Batches
are padded to the longest of the runs. `chunk_size` auto means 1: the runs are side by side already.

Costs in memory N times params and state of a run, and as much once more where somebody looks;
frozen weights once; temporaries as `experiments._lanes` says. What an update costs, in result.json,
is that of all runs together. Runs are evaluated one after another, and those that stop early are
computed on until all are over.

Checkpoints are like those of a run alone: what was stopped goes on, alone or side by side with
those that stopped at the same step. A run that began alone then has no seed log any more. A replay
of a log is another program, and says how far the bits agree.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import grain
import jax
import jax.numpy as jnp
from rich.console import Console

from experiments import _lanes
from experiments._config_file import to_yaml
from experiments._costs import measure_costs
from experiments._course import Begun, begin, end
from experiments._interruption import Interruption
from experiments._job import Job, prepare
from experiments._looks import Last
from experiments._methods import METHODS
from experiments._optimizer import make_optimizer
from experiments._programs import by_groups, make_judge, make_loss, write_model
from experiments._report import Result, describe, report, summarize
from experiments._run import Run
from experiments._run_folder import claimed
from experiments._settings import Settings
from experiments._status import showing
from experiments._training_loop import observing, train_together
from zojax import training

# A run that has begun, and the params and state that it goes on with.
_Started = tuple[Begun, Any, Any]
_MAY_DIFFER = ("learning_rate", "seed")
_OF_THE_PLACE = ("out", "resume")
# What runs side by side cannot be asked for, and what to ask for instead.
_REFUSED = {
    **{
        ("method", name): "makes directions of what padding the batches have; take another"
        for name, recipe in METHODS.items()
        if recipe.reads_inputs
    },
    ("learning_rate", "auto"): "finds a rate for a run alone; give numbers",
    ("diagnostics", True): "is for a run alone; leave it out",
    ("wandb", True): "is for a run alone; leave it out",
}


def check_side_by_side(each: Sequence[Settings]) -> None:
    """Raises ValueError, naming the setting, unless one program can make these runs."""
    remedy = "or leave --side-by-side out"
    for name in (field.name for field in dataclasses.fields(Settings)):
        values = list(dict.fromkeys(getattr(settings, name) for settings in each))
        if len(values) > 1 and name not in (*_MAY_DIFFER, *_OF_THE_PLACE):
            listed = ", ".join(map(str, values))
            raise ValueError(
                f"{name} is {listed}: runs side by side may differ in "
                f"{' and '.join(_MAY_DIFFER)} alone; make a sweep for each {name}, {remedy}"
            )
        for value in values:
            if (name, value) in _REFUSED:
                raise ValueError(f"{name} {value} {_REFUSED[name, value]}, {remedy}")
    if jax.device_count() > 1:
        raise ValueError(
            f"side-by-side {len(each)} with {jax.device_count()} devices: runs are side by side on "
            f"one device; show one alone, {remedy}"
        )


def finetune_side_by_side(each: Sequence[Settings], consoles: Sequence[Console]) -> list[Result]:
    """Runs the jobs of `experiments.finetune` side by side, and returns their numbers.

    Args:
      each: settings of the runs.
      consoles: where the user looks at each of them; no terminals.

    Raises:
      ValueError: for settings or data that cannot be used, before any training.
      OSError: naming what cannot be written; checkpoints from before are untouched.
      Stopped: if a signal asks for it, a KeyboardInterrupt; checkpoints have been saved.
    """
    check_side_by_side(each)
    job, params = _prepared(each)
    for settings, console in zip(each, consoles, strict=True):
        describe(console, settings, job)
    with contextlib.ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        for settings in each:
            folder = claimed(settings.out, to_yaml(settings), resume=settings.resume)
            stack.enter_context(folder)
        return _train(each, job._replace(params=None), params, consoles, interruption)


def _prepared(each: Sequence[Settings]) -> tuple[Job, list[Any]]:
    """What all runs share, and what each of them trains."""
    jobs = [prepare(settings) for settings in each]
    hashes = [training.fingerprint(job.frozen).tolist() for job in jobs]
    if any(found != hashes[0] for found in hashes):
        raise ValueError(
            f"seed is {', '.join(str(settings.seed) for settings in each)}: frozen weights that "
            "start from the seed are others in every run, and runs side by side share theirs; "
            "leave --side-by-side out"
        )
    return jobs[0], [job.params for job in jobs]


def _train(
    each: Sequence[Settings],
    job: Job,
    params: list[Any],
    consoles: Sequence[Console],
    interruption: Interruption,
) -> list[Result]:
    settings, layout = each[0], job.layout
    chunk_size = 1 if settings.chunk_size == "auto" else settings.chunk_size or 1
    loss, judge = make_loss(job), make_judge(settings, job)
    tx = _lanes.make_optimizer(settings, chunk_size, layout.step_axes)
    step, steps = training.make_step(tx, loss), training.make_steps(tx, loss)
    with jax.set_mesh(layout.mesh), contextlib.ExitStack() as stack:
        started = []
        for own, console in zip(each, consoles, strict=True):
            own_tx = make_optimizer(own, chunk_size, layout.step_axes)
            arguments = (own, job, params.pop(0), own_tx, loss, judge, console, interruption)
            started.append(begin(stack, *arguments, side_by_side=True))
        begun = [one for one, *_ in started]
        with interruption.between_steps():
            lasts = _lasts(started, step, steps)
        ended = [end(*of_run) for of_run in zip(begun, lasts, strict=True)]

    for own, one in zip(each, ended, strict=True):
        write_model(own, job, one.model)
    runs = [one.run for one in begun]
    last = max(last.step for last in lasts)
    batch = _batches(runs)[settings.accumulate * last - 1]
    with jax.set_mesh(layout.mesh), showing(consoles[0], "measuring what an update costs"):
        costs = measure_costs(
            step,
            jax.vmap(loss, (0, None, 0)),
            *_lanes.join([(one.params, one.state) for one in ended]),
            job.frozen,
            batch,
            layout.assemble,
            axis=1,
            rate=_rates(runs),
        )
    results = [summarize(*of_run, chunk_size, costs) for of_run in zip(each, ended, strict=True)]
    for run, result in zip(runs, results, strict=True):
        report(run.console, result, costs, metric=run.metric)
    return results


def _lasts(started: list[_Started], step: Callable, steps: Callable) -> list[Last]:
    """Makes the updates that are left, side by side those of runs that have made as many."""
    lasts = [Last(begun.start, *trees) for begun, *trees in started]
    for start in sorted({begun.start for begun, *_ in started}):
        places = [
            place
            for place, (begun, *_) in enumerate(started)
            if begun.start == start and not begun.run.is_over(start)
        ]
        if places:
            found = _together([started[place] for place in places], start, step, steps)
            for place, last in zip(places, found, strict=True):
                lasts[place] = last
    return lasts


def _together(
    started: list[_Started], start: int, step: Callable, steps: Callable
) -> list[Last | None]:
    runs = [begun.run for begun, *_ in started]
    job, trees = runs[0].job, [tuple(trees) for _, *trees in started]
    params, state = _lanes.join(trees)
    for leaf in jax.tree.leaves(trees):
        leaf.delete()
    update = by_groups(step, steps, frozen=job.frozen, rate=_rates(runs))

    def put(batch, axis):
        return job.layout.assemble(batch, axis + 1)

    groups = runs[0].groups_of(_batches(runs), start, put)
    with contextlib.ExitStack() as stack:
        observed = [
            stack.enter_context(observing(begun, lane)) for lane, (begun, *_) in enumerate(started)
        ]
        train_together(observed, update, groups, params, state, _lanes.split)
    return [one.last for one in observed]


def _batches(runs: Sequence[Run]) -> grain.MapDataset:
    run = runs[0]
    calls = run.settings.accumulate * run.settings.steps
    return _lanes.batches(run.job.objective.data, [run.order for run in runs], calls)


def _rates(runs: Sequence[Run]) -> jax.Array:
    return jnp.array([run.settings.learning_rate for run in runs], jnp.float32)
