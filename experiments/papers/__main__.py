"""Do the claims of six papers hold at the scale of two CPU cores?

    python -m experiments.papers --papers all --seeds 5

One file a paper says what is claimed and which arms are compared (see `PAPERS`). All arms are
treated alike: a run with seed 0 at each learning rate of a grid, half decades around the arm's
center, of which the least validation loss decides; then runs with the seeds 1, 2, …, whose losses
and accuracies on other data are reported, mean and standard deviation. A best rate at an end of its
grid is marked. Evaluations to MeZO's loss are counted to the first look at which a run's loss is no
higher than what MeZO's runs on the same problem have on average in the end. The time of a step is
compared with that of MeZO's in the same process, stretch by stretch. Combinations that no paper has
are run in the same way.

Rows are kept in results/papers.jsonl as they come, and what is there with the same settings is not
run again; `python -m experiments.report` makes the page of them.
"""

import dataclasses
import functools
import json
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._report import Report
from experiments.papers import ar1_zo, combinations, loren, mezo_bcd, r_adazo, zo_muon, zoar
from experiments.papers.arm import Arm, Experiment
from experiments.papers.names import BASELINE
from experiments.papers.problem import Problem
from experiments.papers.runs import Run, Runner
from experiments.papers.tuning import Tuned, grid, tuned

PAPERS: dict[str, Callable[[], list[Experiment]]] = {
    "zo_muon": zo_muon.experiments,
    "loren": loren.experiments,
    "r_adazo": r_adazo.experiments,
    "zoar": zoar.experiments,
    "mezo_bcd": mezo_bcd.experiments,
    "ar1_zo": ar1_zo.experiments,
    "combinations": combinations.experiments,
}
ALL = "all"
ABOUT = ("paper", "problem", "arm")
COLUMNS = (
    *(*ABOUT, "learning rate", "at the end of the grid", "evaluations", "evaluations a step"),
    *("step / MeZO's", "seeds", "loss", "its deviation", "accuracy", "of the accuracy", "diverged"),
    *("evaluations to MeZO's loss", "curve"),
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    papers: tuple[str, ...] = (ALL,)
    """Which of them, or "all"."""
    seeds: int = 5
    """Runs at the chosen rate."""
    half_decades: int = 3
    """Learning rates of the grid on either side of its center."""
    looks: int = 60
    """How often a run is looked at."""
    rounds: int = 7
    """Of timing."""

    def __post_init__(self):
        unknown = [name for name in self.papers if name not in (ALL, *PAPERS)]
        if unknown:
            raise ValueError(
                f"papers must be of {ALL}, {', '.join(PAPERS)}; got {', '.join(unknown)}"
            )
        for name in ("seeds", "half_decades", "looks", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")

    def numeric(self) -> dict[str, Any]:
        """Those that the numbers of a row depend on."""
        settings = dataclasses.asdict(self)
        del settings["papers"]
        return settings


def papers(settings: Settings) -> list[dict[str, Any]]:
    """Runs what is not there yet, prints a row for each arm, and returns these rows."""
    clock = time.perf_counter()
    report = Report("papers", COLUMNS, settings, names=len(ABOUT))
    finished = _finished(report, settings)
    for name, experiments in PAPERS.items():
        if ALL in settings.papers or name in settings.papers:
            for experiment in experiments():
                _compare(experiment, settings, report, finished)
    print(f"\n{(time.perf_counter() - clock) / 60:.0f} minutes")
    return report.rows


def _finished(report: Report, settings: Settings) -> dict[tuple[str, ...], dict[str, Any]]:
    """Rows of earlier runs with the same settings."""
    if not report.path.exists():
        return {}
    rows = [json.loads(line) for line in report.path.read_text(encoding="utf-8").splitlines()]
    same = settings.numeric()
    return {
        tuple(row[column] for column in ABOUT): row
        for row in rows
        if same.items() <= row["settings"].items()
    }


def _compare(
    experiment: Experiment, settings: Settings, report: Report, finished: dict[Any, dict[str, Any]]
) -> None:
    """All arms on one problem."""
    problem = functools.cache(experiment.problem)
    names = {arm: (experiment.paper, problem().name, arm) for arm in experiment.arms}
    rows = {arm: finished[about] for arm, about in names.items() if about in finished}
    if len(rows) == len(names):
        return
    baseline = Runner(experiment.arms[BASELINE], problem(), settings.looks)
    for name, arm in experiment.arms.items():
        if name not in rows:
            found = _row(arm, problem(), settings, rows, baseline)
            report.row(*names[name], *found.values())
            rows[name] = report.rows[-1]


def _row(
    arm: Arm,
    problem: Problem,
    settings: Settings,
    rows: dict[str, dict[str, Any]],
    baseline: Runner,
) -> dict[str, Any]:
    """Everything that is said of an arm, in the order of the columns."""
    runner = Runner(arm, problem, settings.looks)
    rate, at_end = _rate(arm, runner, settings, rows)
    runs = [runner.run(rate, seed) for seed in range(1, settings.seeds + 1)]
    losses = [run.loss for run in runs]
    to_reach = rows[BASELINE]["loss"] if rows else _mean(losses)
    ours, theirs = runner.seconds_a_step(rate, baseline, settings.rounds)
    return {
        "learning rate": rate,
        "at the end of the grid": at_end,
        "evaluations": max(run.evaluations for run in runs),
        "evaluations a step": arm.evaluations,
        "step / MeZO's": ours / theirs,
        "seeds": settings.seeds,
        "loss": _mean(losses),
        "its deviation": _deviation(losses),
        "accuracy": _mean([run.accuracy for run in runs]),
        "of the accuracy": _deviation([run.accuracy for run in runs]),
        "diverged": sum(not math.isfinite(loss) for loss in losses),
        "evaluations to MeZO's loss": _mean([_first_at_most(run, to_reach) for run in runs]),
        "curve": _average(runs),
    }


def _rate(arm: Arm, runner: Runner, settings: Settings, rows: dict[str, dict[str, Any]]) -> Tuned:
    if arm.rate_of is None:
        return tuned(runner, grid(arm.center, settings.half_decades))
    other, factor = arm.rate_of
    return Tuned(float(f"{factor * rows[other]['learning rate']:.3g}"), at_end=False)


def _first_at_most(run: Run, loss: float | None) -> float:
    """The evaluations after which the loss is no higher than that; inf if it stays higher."""
    if loss is None:
        return math.inf
    return next((spent for spent, found in run.curve if found <= loss), math.inf)


def _mean(values: list[float]) -> float | None:
    """None unless all are finite."""
    return float(np.mean(values)) if np.isfinite(values).all() else None


def _deviation(values: list[float]) -> float | None:
    if not np.isfinite(values).all():
        return None
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _average(runs: list[Run]) -> list[tuple[int, float]]:
    """The mean loss at each look that all runs have come to."""
    curves = [run.curve for run in runs]
    return [
        (looks[0][0], float(np.mean([loss for _, loss in looks])))
        for looks in zip(*curves, strict=False)
        if np.isfinite([loss for _, loss in looks]).all()
    ]


def main() -> None:
    try:
        settings = tyro.cli(Settings, description=__doc__)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    papers(settings)


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
