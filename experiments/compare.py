"""Every method on the main job, at the same number of loss evaluations.

Runs `experiments.finetune` once for each method with the settings that are the method's own, and
prints what came of it as a Markdown table. What a method costs is loss evaluations, so one that
needs more of them for an update makes fewer updates.
"""

import dataclasses
import json
from pathlib import Path

import tyro

from experiments._methods import METHODS
from experiments._settings import Settings
from experiments.finetune import finetune

_RESULT = "result.json"
_COLUMNS = {
    "updates": lambda row: f"{row['updates']:,}",
    "loss evaluations": lambda row: f"{row['loss_evaluations']:,}",
    "validation loss before": lambda row: f"{row['loss_before']:.4f}",
    "after": lambda row: f"{row['loss_after']:.4f}",
    "test accuracy": lambda row: f"{row['score_after']:.1%}",
    "step / its forwards": lambda row: f"{row['step_over_forwards']:.2f}",
    "peak / inference": lambda row: f"{row['memory_over_inference']:.2f}",
    "state / weights": lambda row: f"{row['state_over_weights']:.3f}",
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


def _settings(comparison: Comparison, method: str) -> Settings:
    out = comparison.out / method
    start = Settings(method=method, adapter=comparison.adapter, seed=comparison.seed, out=out)
    steps = max(1, comparison.evaluations // METHODS[method].evaluations(start.num_queries))
    begun = (out / "settings.json").exists()
    return dataclasses.replace(start, steps=steps, eval_every=max(1, steps // 6), resume=begun)


def table(rows: list[dict]) -> str:
    """The rows in Markdown."""
    lines = [" | ".join(["", "method", *_COLUMNS, ""]).strip()]
    lines.append("|---" * (1 + len(_COLUMNS)) + "|")
    for row in rows:
        cells = [row["method"], *(show(row) for show in _COLUMNS.values())]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    comparison = tyro.cli(Comparison, description=__doc__)
    try:
        rows = compare(comparison)
    except (ValueError, KeyError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    print(table(rows))


if __name__ == "__main__":
    main()
