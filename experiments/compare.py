"""Every method on the main job, at the same number of loss evaluations.

Runs `experiments.finetune` once for each method with the settings that are the method's own, and
prints what came of it as a Markdown table. What a method costs is loss evaluations, so one that
needs more of them for an update makes fewer updates. The first rows are what the model does without
being trained (see `experiments.references`); `adamw` takes gradients, each of which counts as three
loss evaluations.
"""

import dataclasses
import json
from pathlib import Path

import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._methods import METHODS
from experiments._settings import Settings
from experiments._vectors import use_wide_vectors
from experiments.finetune import finetune
from experiments.references import References, untrained

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
        rows.append({"method": method, "updates": settings.steps, **result})
    return rows


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
        rows = untrained_rows(comparison) + compare(comparison)
    except (ValueError, KeyError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    print(table(rows))


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
