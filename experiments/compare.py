"""Every method on the main job, at the same number of loss evaluations.

Runs `experiments.finetune` once for each method with the settings that are the method's own, and
prints what came of it as a Markdown table. What a method costs is loss evaluations, so one that
needs more of them for an update makes fewer updates. The first rows are what the model does without
being trained (see `experiments.references`); `adamw` takes gradients, each of which counts as three
loss evaluations.

The rows of the methods are kept in results/compare.jsonl with the validation losses on the way, in
the place of earlier ones of the same methods; `experiments.report` draws them.
"""

import dataclasses
import importlib.metadata
import json
from pathlib import Path

import jax
import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._methods import METHODS
from experiments._settings import Settings
from experiments._vectors import use_wide_vectors
from experiments.finetune import finetune
from experiments.references import References, untrained
from zojax import training

RESULTS = Path(__file__).parent / "results" / "compare.jsonl"
_RESULT = "result.json"
_REFERENCES = "references.json"
_COLUMNS = {
    "updates": ("updates", "{:,}"),
    "loss evaluations": ("loss_evaluations", "{:,}"),
    "validation loss before": ("loss_before", "{:.4f}"),
    "after": ("loss_after", "{:.4f}"),
    "test accuracy": ("score_after", "{:.1%}"),
    "step / its forwards": ("step_over_forwards", "{:.2f}"),
    "peak / inference": ("memory_over_inference", "{:.2f}"),
    "state / weights": ("state_over_weights", "{:.3f}"),
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is compared."""

    methods: tuple[str, ...] = tuple(METHODS)
    """Names of methods."""
    evaluations: int = 1200
    """Loss evaluations of each run, each on a batch."""
    adapter: str | None = None
    """What is trained, see `experiments.finetune`."""
    seed: int = 0
    """Of all runs."""
    out: Path = Path("runs/compare")
    """Folder of the runs; those that are finished there are not run again."""


def compare(comparison: Comparison) -> list[dict]:
    """Runs all methods and returns one row for each."""
    rows = []
    for method in comparison.methods:
        settings = _settings(comparison, method)
        path = settings.out / _RESULT
        if not path.exists():
            finetune(settings)
        result = json.loads(path.read_text(encoding="utf-8"))
        curve = _curve(settings.out, result["loss_evaluations"] / settings.steps)
        rows.append({"method": method, "updates": settings.steps, **result, "curve": curve})
    return rows


def _curve(out: Path, evaluations: float) -> list[tuple[int, float]]:
    """Loss evaluations so far and the validation loss, wherever that was looked at."""
    return [
        (round(line["step"] * evaluations), line["validation_loss"])
        for line in training.read_metrics(out)
        if "validation_loss" in line
    ]


def keep(rows: list[dict], comparison: Comparison, path: Path = RESULTS) -> None:
    """Writes the rows, with what they were found with, in the place of those about the same."""
    run = {
        "evaluations": comparison.evaluations,
        "adapter": comparison.adapter,
        "seed": comparison.seed,
        "device": jax.devices()[0].device_kind,
        **{name: importlib.metadata.version(name) for name in ("jax", "flax", "optax")},
    }
    found = {_subject(row | run): json.dumps(row | run) for row in rows}
    if path.exists():
        earlier = path.read_text(encoding="utf-8").splitlines()
        found = {_subject(json.loads(line)): line for line in earlier} | found
    path.write_text("".join(f"{line}\n" for line in found.values()), encoding="utf-8")


def _subject(row: dict) -> tuple:
    return row["method"], row["adapter"], row["evaluations"], row["seed"]


def untrained_rows(comparison: Comparison) -> list[dict]:
    """Returns a row for each reference that needs no training."""
    path = comparison.out / _REFERENCES
    if not path.exists():
        scores = untrained(References(seed=comparison.seed))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    scores = json.loads(path.read_text(encoding="utf-8"))
    return [{"method": name, "score_after": score} for name, score in scores.items()]


def _settings(comparison: Comparison, method: str) -> Settings:
    out = comparison.out / method
    start = Settings(method=method, adapter=comparison.adapter, seed=comparison.seed, out=out)
    steps = max(1, comparison.evaluations // METHODS[method].evaluations(start.num_queries))
    begun = (out / "settings.yaml").exists()
    return dataclasses.replace(start, steps=steps, eval_every=max(1, steps // 6), resume=begun)


def table(rows: list[dict]) -> str:
    """The rows in Markdown."""
    lines = [" | ".join(["", "method", *_COLUMNS, ""]).strip()]
    lines.append("|---" * (1 + len(_COLUMNS)) + "|")
    for row in rows:
        cells = [row["method"], *(_cell(row, *column) for column in _COLUMNS.values())]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: dict, name: str, form: str) -> str:
    return "" if row.get(name) is None else form.format(row[name])


def main() -> None:
    comparison = tyro.cli(Comparison, description=__doc__)
    try:
        rows = compare(comparison)
        print(table(untrained_rows(comparison) + rows))
        keep(rows, comparison)
    except (ValueError, KeyError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
