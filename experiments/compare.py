"""Every method on the main job at the same number of loss evaluations, each tuned alike.

    python -m experiments.compare --methods mezo lozo hizoo --budget 1200 --seeds 5
    python -m experiments.compare --methods mezo ar1_zo --adapter lora
    python -m experiments.pretrain.digits   and then, for a small vision transformer:
    python -m experiments.compare --model runs/digits/vit --task digits@runs/digits/5-to-9 --budget
        3600 --methods mezo fzoo grzo

What a method costs is loss evaluations, so one that needs more of them for an update makes fewer
updates; `adamw` takes gradients, each of which counts as three. The learning rate is chosen first:
one run with seed 0 at each of the method's own rate times `grid`, of which the least validation
loss decides. Then runs with the seeds 1, 2, … at that rate are reported, mean and standard
deviation, and how many of the evaluations were made when the validation loss first was as low as
`mezo`'s in the end (in an earlier comparison, if it is not in this one). A rate at the end of the
grid is marked: a wider one might do better.

Runs are those of `experiments.finetune`; what is finished is not run again, so a comparison that
was stopped goes on. Rows are kept in experiments/results/compare.jsonl, one a model and method; a
model whose adapter is trained is one of its own. The first lines say what the model does without
being trained (see `experiments.references`).
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._methods import METHODS
from experiments._settings import Settings
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._report import Report
from experiments.finetune import finetune
from experiments.references import References, untrained
from zojax import training

ALL, BASELINE = "all", "mezo"
COLUMNS = (
    *("model", "method", "learning rate", "at the end of the grid", "updates"),
    *("loss evaluations", "seeds", "validation loss", "its deviation"),
    *("test accuracy", "of the accuracy", "evaluations to mezo's loss", "state / weights", "curve"),
)
# Loss evaluations so far, and the validation loss.
Curve = list[tuple[int, float]]
# How often a run is looked at.
_LOOKS = 12


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is compared."""

    methods: tuple[str, ...] = (ALL,)
    """Names of methods, or "all"."""
    budget: int = 1200
    """Loss evaluations of each run, each on a batch."""
    grid: tuple[float, ...] = (0.32, 1.0, 3.2)
    """Factors of the learning rate that a method starts from; one factor: nothing is tuned."""
    seeds: int = 3
    """Runs at the chosen rate."""
    model: str = "opt-reviews"
    """See `experiments.finetune`."""
    task: str = "reviews"
    """See `experiments.finetune`."""
    head: str | None = None
    """See `experiments.finetune`."""
    adapter: str | None = None
    """What is trained, see `experiments.finetune`."""
    sampler_rank: int | None = None
    """Of methods whose own rank is above a model's width."""
    num_test: int | None = None
    """Examples to report on."""
    out: str = "runs/compare"
    """Folder of the runs."""

    @property
    def subject(self) -> str:
        """The model, and the adapter if it is one that is trained."""
        return self.model if self.adapter in (None, "none") else f"{self.model}, {self.adapter}"


def names(comparison: Comparison) -> tuple[str, ...]:
    """The methods, the one first that others are measured by.

    Raises:
      ValueError: for one that is unknown.
    """
    chosen = tuple(METHODS) if ALL in comparison.methods else comparison.methods
    unknown = [name for name in chosen if name not in METHODS]
    if unknown:
        raise ValueError(
            f"methods {', '.join(unknown)}: unknown; choose from {ALL}, {', '.join(METHODS)}"
        )
    return tuple(sorted(chosen, key=lambda name: name != BASELINE))


def compare(comparison: Comparison) -> list[dict[str, Any]]:
    """Tunes and runs all methods, prints a row for each, and returns the rows."""
    chosen = names(comparison)
    report = Report("compare", COLUMNS, comparison, names=2)
    to_reach = kept_loss(report.path, comparison.subject)
    for method in chosen:
        rate, at_end = tuned(comparison, method)
        runs = [run(comparison, method, rate, seed) for seed in range(1, comparison.seeds + 1)]
        losses = [result["loss_after"] for result, _ in runs]
        scores = [result["score_after"] for result, _ in runs]
        if method == BASELINE:
            to_reach = float(np.mean(losses))
        report.row(
            *(comparison.subject, method, rate, at_end, _steps(comparison, method)),
            *(runs[0][0]["loss_evaluations"], comparison.seeds),
            *(float(np.mean(losses)), float(np.std(losses))),
            *(float(np.mean(scores)), float(np.std(scores))),
            _mean([first_at_most(curve, to_reach) for _, curve in runs]),
            *(runs[0][0]["state_over_weights"], _average([curve for _, curve in runs])),
        )
    return report.rows


def tuned(comparison: Comparison, method: str) -> tuple[float, bool]:
    """The rate of the least validation loss with seed 0, and whether the grid ends there."""
    rates = sorted(
        float(f"{factor * METHODS[method].rate(_adapter(comparison, method)):.2g}")
        for factor in comparison.grid
    )
    if len(rates) == 1:
        return rates[0], False
    losses = [run(comparison, method, rate, 0)[0]["loss_after"] for rate in rates]
    finite = [loss if loss is not None and math.isfinite(loss) else math.inf for loss in losses]
    best = int(np.argmin(finite))
    return rates[best], best in (0, len(rates) - 1)


def run(
    comparison: Comparison, method: str, rate: float, seed: int
) -> tuple[dict[str, Any], Curve]:
    """What a run came to, and its validation losses by evaluations of the loss in training."""
    settings = _settings(comparison, method, rate, seed)
    path = settings.out / "result.json"
    if not path.exists():
        finetune(settings)
    result = json.loads(path.read_text(encoding="utf-8"))
    an_update = result["loss_evaluations"] / settings.steps
    rows = [row for row in training.read_metrics(settings.out) if "validation_loss" in row]
    return result, [(round(row["step"] * an_update), row["validation_loss"]) for row in rows]


def first_at_most(curve: Curve, loss: float) -> int | None:
    """The evaluations after which a loss is no higher than that; None if it stays higher."""
    return next((evaluations for evaluations, found in curve if found <= loss), None)


def _average(curves: list[Curve]) -> list[tuple[int, float]]:
    """The mean loss at each look, which runs of a method have at the same evaluations."""
    return [
        (looks[0][0], float(np.mean([loss for _, loss in looks])))
        for looks in zip(*curves, strict=True)
    ]


def kept_loss(path: Path, model: str) -> float:
    """That of the baseline in an earlier comparison; nan without one."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    losses = [
        row["validation loss"] for row in rows if (row["model"], row["method"]) == (model, BASELINE)
    ]
    return losses[-1] if losses else math.nan


def _mean(evaluations: list[int | None]) -> float | None:
    """None unless all runs got there."""
    return None if None in evaluations else float(np.mean(evaluations))


def _adapter(comparison: Comparison, method: str) -> str:
    return comparison.adapter or ("lora" if METHODS[method].needs_lora else "none")


def _steps(comparison: Comparison, method: str) -> int:
    recipe = METHODS[method]
    return max(1, comparison.budget // recipe.evaluations(recipe.num_queries))


def _settings(comparison: Comparison, method: str, rate: float, seed: int) -> Settings:
    steps = _steps(comparison, method)
    subject = Path(comparison.subject).name
    out = Path(comparison.out) / subject / method / f"{steps}-{rate:g}-{seed}"
    return Settings(
        model=comparison.model,
        task=comparison.task,
        head=comparison.head,
        adapter=_adapter(comparison, method),
        num_test=comparison.num_test,
        sampler_rank=comparison.sampler_rank,
        method=method,
        learning_rate=rate,
        steps=steps,
        eval_every=max(1, steps // _LOOKS),
        seed=seed,
        out=out,
        resume=(out / "settings.yaml").exists(),
    )


def without_training(comparison: Comparison) -> dict[str, float | None]:
    """The test scores of the references that need none."""
    return untrained(References(model=comparison.model, task=comparison.task, head=comparison.head))


def main() -> None:
    comparison = tyro.cli(Comparison, description=__doc__)
    try:
        names(comparison)
        for name, score in without_training(comparison).items():
            if score is not None:
                print(f"without training, {name}: test score {score:.1%}")
        compare(comparison)
    except (ValueError, KeyError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
