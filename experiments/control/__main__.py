"""Do methods without gradients solve what has none: a control task, and counted mistakes?

    python -m experiments.control

Two problems: a network of 113 weights swings up a pole on a cart, and its loss is minus the reward
of simulated episodes (`experiments.control.cart_pole`); the scales of 13 columns are
searched by the mistakes that a classifier makes with them (`experiments.control.neighbors`). Every
method has `budget` evaluations of the loss. Its learning rate is the one of `rates`, the same for
all, whose mean score with the seeds of the search is best; one at an end of the grid is marked. The
table has other seeds. The runs with all rates and seeds of a method are one compiled program.
"""

import dataclasses
from typing import Any

import numpy as np
import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._report import Report
from experiments.control.cart_pole import cart_pole
from experiments.control.neighbors import neighbors
from experiments.control.runs import METHODS, Runs, make_runs

PROBLEMS = {"cart pole": cart_pole, "neighbors": neighbors}
COLUMNS = (
    *("problem", "method", "learning rate", "at the end of the grid", "loss evaluations"),
    *("score", "before", "after", "deviation", "curve"),
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    problems: tuple[str, ...] = tuple(PROBLEMS)
    """Which of them."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Which of them."""
    budget: int = 2000
    """Loss evaluations of a run; a multiple of looks and of what a step of each method needs."""
    rates: tuple[float, ...] = (3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
    """The grid of learning rates, the same for all methods."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Of the table: of directions, starts and episodes."""
    search_seeds: tuple[int, ...] = (1000, 1001)
    """Of the search for a learning rate."""
    looks: int = 10
    """How often a run is scored on its way."""

    def __post_init__(self):
        for name, known in {"problems": PROBLEMS, "methods": METHODS}.items():
            unknown = [choice for choice in getattr(self, name) if choice not in known]
            if unknown:
                raise ValueError(f"{name} must be of {', '.join(known)}; got {', '.join(unknown)}")
        for name in ("rates", "seeds", "search_seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name} must name at least one")
        shared = sorted(set(self.seeds) & set(self.search_seeds))
        if shared:
            raise ValueError(f"search_seeds must be others than seeds; both have {shared}")
        for name in self.methods:
            stretch = self.looks * METHODS[name].evaluations
            if self.budget < stretch or self.budget % stretch:
                raise ValueError(
                    f"budget must be a multiple of {stretch}, so that {name} has as many "
                    f"evaluations as others; got {self.budget}"
                )


def control(settings: Settings) -> list[dict[str, Any]]:
    """Tunes and runs every method on every problem, prints a row for each, returns the rows."""
    report = Report("control", COLUMNS, settings, names=2)
    for name in settings.problems:
        problem = PROBLEMS[name]()
        for method in settings.methods:
            runs = make_runs(METHODS[method], problem, budget=settings.budget, looks=settings.looks)
            place, found = tuned(
                runs(settings.rates, settings.search_seeds + settings.seeds), settings
            )
            at_end = place in (0, len(settings.rates) - 1)
            report.row(
                *(name, method, settings.rates[place], at_end, settings.budget, problem.scored),
                *(float(found.before.mean()), float(found.scores.mean())),
                *(float(found.scores.std()), _curve(found, settings)),
            )
    return report.finish()


def tuned(runs: Runs, settings: Settings) -> tuple[int, Runs]:
    """The place of the best rate by the seeds of the search, and the other seeds' runs at it."""
    count = len(settings.search_seeds)
    # A run that diverged is no best one.
    means = np.nan_to_num(runs.scores[:, :count], nan=-np.inf).mean(axis=1)
    place = int(np.argmax(means))
    return place, Runs(runs.scores[place, count:], runs.before[count:], runs.curve[place, count:])


def _curve(found: Runs, settings: Settings) -> list[tuple[int, float]]:
    """Evaluations so far, and the mean score."""
    spent = np.linspace(0, settings.budget, settings.looks + 1).round().astype(int).tolist()
    means = [found.before.mean(), *found.curve.mean(axis=0)]
    return list(zip(spent, map(float, means), strict=True))


def main() -> None:
    try:
        settings = tyro.cli(Settings, description=__doc__)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    control(settings)


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
