"""Do three methods without gradients train real pretrained models on real texts, beside AdamW?

    pip install gguf                        # reads the decoder's file
    python -m experiments.real_text

An encoder with a new classifier (MiniLM) and a decoder asked in words (SmolLM2), both from packages
of the registry, learn from 256 tweets whether they are glad or sad. Of the encoder LoRA and the
classifier are trained, of the decoder all weights. Every method has the same number of loss
evaluations, of which a gradient counts as three, and two learning rates, shares of the one that
suits the shipped model. The run of the least validation loss is reported. A line a run goes to
experiments/results/real_text.jsonl.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._methods import METHODS
from experiments._settings import Settings
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._report import Report
from experiments.finetune import finetune
from experiments.real_text import decoder, encoder, tweets


class Model(NamedTuple):
    """A model of the comparison.

    Attributes:
      prepare: writes its folder.
      head: what answers.
      adapter: what is trained.
      grid: the learning rates, as shares of those for the shipped model.
      evaluations: of the loss, a run.
      num_dev: examples to choose by.
      num_test: examples to report on.
    """

    prepare: Callable[[Path, Path], Path]
    head: str
    adapter: str
    grid: tuple[float, ...]
    evaluations: int
    num_dev: int
    num_test: int


MODELS = {
    "minilm": Model(encoder.prepare, "classifier", "lora", (0.032, 0.1), 3000, 128, 600),
    "smollm2": Model(decoder.prepare, "language_model", "none", (0.1, 1.0), 96, 64, 200),
}
METHOD_NAMES = ("mezo", "mezo_adam", "loren", "adamw")


COLUMNS = (
    *("model", "method", "learning rate", "seed", "updates", "loss evaluations"),
    *("validation loss before", "after", "test accuracy before", "test accuracy after"),
)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is run."""

    models: tuple[str, ...] = tuple(MODELS)
    """Which of the two."""
    methods: tuple[str, ...] = METHOD_NAMES
    """Which methods."""
    seed: int = 0
    """Of all runs."""
    out: str = "runs/real_text"
    """Folder of packages, models, tweets and runs; what is finished there is not done again."""


def compare(comparison: Comparison) -> list[dict[str, Any]]:
    """Runs everything, prints a row for each run as it ends, and returns them."""
    out = Path(comparison.out)
    task = tweets.prepare(out / "tweets", out / "packages")
    folders = {
        name: MODELS[name].prepare(out / name, out / "packages") for name in comparison.models
    }
    report = Report("real_text", COLUMNS, comparison, names=4)
    for name, folder in folders.items():
        for method in comparison.methods:
            for share in MODELS[name].grid:
                rate = float(f"{METHODS[method].rate(MODELS[name].adapter) * share:.2g}")
                settings = _settings(comparison, name, folder, task, method, rate)
                result = _result(settings)
                report.row(
                    *(name, method, rate, settings.seed, settings.steps),
                    *(result["loss_evaluations"], result["loss_before"], result["loss_after"]),
                    *(result["score_before"], result["score_after"]),
                )
    return report.rows


def _settings(
    comparison: Comparison, name: str, folder: Path, task: Path, method: str, rate: float
) -> Settings:
    model, recipe = MODELS[name], METHODS[method]
    steps = model.evaluations // recipe.evaluations(recipe.num_queries)
    out = Path(comparison.out) / "runs" / f"{name}-{method}-{rate:g}-{comparison.seed}"
    return Settings(
        model=str(folder),
        task=str(task),
        head=model.head,
        options=tweets.OPTIONS,
        method=method,
        learning_rate=rate,
        steps=steps,
        eval_every=max(1, steps // 4),
        batch_size=8,
        adapter=model.adapter,
        num_dev=model.num_dev,
        num_test=model.num_test,
        max_length=48,  # every padded length is one more program to compile
        seed=comparison.seed,
        resume=(out / "settings.yaml").exists(),
        out=out,
    )


def _result(settings: Settings) -> dict[str, Any]:
    """The numbers of a run, which is made unless it is finished."""
    path = settings.out / "result.json"
    if not path.exists():
        finetune(settings)
    return json.loads(path.read_text(encoding="utf-8"))


def best(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each model and method, the run of the least validation loss."""
    chosen: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        before = chosen.setdefault((row["model"], row["method"]), row)
        if row["after"] < before["after"]:
            chosen[row["model"], row["method"]] = row
    return list(chosen.values())


def main() -> None:
    comparison = tyro.cli(Comparison, description=__doc__)
    try:
        rows = compare(comparison)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    print("\nOf each method the run of the least validation loss:\n")
    for row in best(rows):
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
