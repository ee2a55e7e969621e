"""How many queries does a black-box attack need, with which estimator, rule and directions?

    python -m experiments.attack

A small CNN that reads scikit-learn's digits is attacked by what it says alone: no pixel may move
by more than `epsilon`, and it is to see the next digit in the place of the right one. The loss is
that of ZoAR's authors (`experiments.attack.objective`); the task is the one on which ZO-AdaMM
(arXiv:1910.06513) and R-AdaZO (arXiv:2502.01014) are compared. Three estimators, five rules and two
laws of directions are combined, each with K directions a step, and each asks at most `budget`
queries an image. What a step costs differs (K + 1, 2 K, K), and is counted.

The learning rate of every method is chosen alike: of `rates`, the one with the least mean of the
queries on images that are not attacked afterwards, where an attack without success counts with the
whole budget. Rates at an end of the grid are marked. The table then has other images and other
seeds: the share of attacks that succeeded, mean and median of the queries, and the deviation over
seeds of their mean over images. All attacks of a method are one compiled program.

Pictures of the attacks with the fewest queries on average go to results/attack.png.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._vectors import use_wide_vectors
from experiments.attack.attacks import Attacks, Jobs, adversarial_image, make_attacks
from experiments.attack.methods import ESTIMATORS, LAWS, METHODS, RULES, Method
from experiments.attack.pictures import Picture, draw
from experiments.attack.victim import Images, Victim, make_victim
from experiments.benchmarks import _report
from experiments.benchmarks._report import Report

COLUMNS = (
    *("estimator", "rule", "directions", "learning rate", "at the end of the grid"),
    *("succeeded", "mean queries", "deviation over seeds", "median queries"),
)
# Attacks to tune with have seeds of their own.
_TUNING_SEED = 1000


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    num_images: int = 20
    """Images that are attacked."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Of the directions."""
    num_tuning: int = 10
    """Other images, to choose the learning rate by."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    """The grid of learning rates, the same for all methods."""
    budget: int = 1000
    """Queries of the classifier, an attack."""
    num_queries: int = 4
    """K, directions of a step."""
    radius: float = 0.1
    """How far along a direction of entries near 1 the classifier is asked."""
    epsilon: float = 0.3
    """How far a pixel, from 0 to 1, may move. By gradients 99 % of the images fall at 0.3."""
    pictured: int = 8
    """Attacks that are shown."""
    estimators: tuple[str, ...] = tuple(ESTIMATORS)
    """Which of them to run."""
    rules: tuple[str, ...] = tuple(RULES)
    """Which of them to run."""
    laws: tuple[str, ...] = tuple(LAWS)
    """Which of them to run."""
    training_steps: int = 400
    """Of the classifier."""
    out: str = "runs/attack"
    """Folder of the classifier."""

    def __post_init__(self):
        for name, known in {"estimators": ESTIMATORS, "rules": RULES, "laws": LAWS}.items():
            unknown = [choice for choice in getattr(self, name) if choice not in known]
            if unknown:
                raise ValueError(f"{name} must be of {', '.join(known)}; got {', '.join(unknown)}")
        least = {"num_images": 1, "num_tuning": 1, "num_queries": 2, "pictured": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} must be at least {bound}; got {getattr(self, name)}")
        for name in ("radius", "epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0; got {getattr(self, name)}")
        for name in ("seeds", "rates"):
            if not getattr(self, name):
                raise ValueError(f"{name} must name at least one")
        if self.budget < 2 * self.num_queries:
            raise ValueError(
                f"budget must be at least {2 * self.num_queries}, the queries of a step with "
                f"central differences; got {self.budget}"
            )

    @property
    def methods(self) -> list[Method]:
        """Those that are asked for."""
        return [
            method
            for method in METHODS
            if method.estimator in self.estimators
            and method.rule in self.rules
            and method.law in self.laws
        ]


def attack(settings: Settings) -> list[dict[str, Any]]:
    """Tunes and runs all methods, prints a row for each, draws the pictures, returns the rows."""
    victim = make_victim(Path(settings.out), settings.training_steps)
    report = Report("attack", COLUMNS, settings, names=3)
    best = None
    for method in settings.methods:
        run = make_attacks(method, victim.log_probabilities, settings)
        rate, at_end = tuned(run, victim, settings)
        jobs = _jobs(_first(victim.attacked, settings.num_images), (rate,), settings.seeds)
        attacks = run(jobs)
        queries = np.asarray(attacks.queries, float)
        of_seeds = queries.reshape(len(settings.seeds), -1).mean(axis=1)
        report.row(
            *(*method, rate, at_end, float(np.asarray(attacks.succeeded).mean())),
            *(float(queries.mean()), float(of_seeds.std()), float(np.median(queries))),
        )
        if best is None or queries.mean() < np.mean(best[2].queries):
            best = method, jobs, attacks
    if settings.pictured and best is not None:
        _draw(best, victim, settings)
    return report.finish()


def tuned(run: Any, victim: Victim, settings: Settings) -> tuple[float, bool]:
    """The rate with the fewest queries on other images, and whether the grid ends there."""
    images = _first(victim.tuning, settings.num_tuning)
    queries = run(_jobs(images, settings.rates, (_TUNING_SEED,))).queries
    means = np.asarray(queries, float).reshape(len(settings.rates), -1).mean(axis=1)
    place = int(np.argmin(means))
    return settings.rates[place], place in (0, len(settings.rates) - 1)


def _jobs(images: Images, rates: tuple[float, ...], seeds: tuple[int, ...]) -> Jobs:
    """Every rate with every seed with every image, in this order; no two share directions."""
    count = len(images.labels)
    grid = np.array([(rate, seed) for rate in rates for seed in seeds])
    rate, seed = np.repeat(grid, count, axis=0).T
    place = np.tile(np.arange(count), len(grid))
    return Jobs(
        images.pixels[place],
        images.labels[place],
        jnp.asarray(rate, jnp.float32),
        jnp.asarray(10_000 * seed + place, jnp.int32),
    )


def _first(images: Images, count: int) -> Images:
    return Images(images.pixels[:count], images.labels[:count])


def _draw(best: tuple[Method, Jobs, Attacks], victim: Victim, settings: Settings) -> None:
    """The first attacks of the first seed that succeeded."""
    method, jobs, attacks = best
    asked = victim.log_probabilities, settings, jobs, attacks
    pictures = []
    for place in np.flatnonzero(np.asarray(attacks.succeeded))[: settings.pictured]:
        image, _ = adversarial_image(method, *asked, int(place))
        said = int(jnp.argmax(victim.log_probabilities(image[None])[0]))
        original, label = np.asarray(jobs.images[place]), int(jobs.labels[place])
        queries = int(attacks.queries[place])
        pictures.append(Picture(original, np.asarray(image), label, said, queries))
    if pictures:
        path = _report.RESULTS / "attack.png"
        draw(pictures, settings.epsilon, path)
        print(f"\n{', '.join(method)} in pictures: {path.name}")


def main() -> None:
    try:
        settings = tyro.cli(Settings, description=__doc__)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    attack(settings)


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
