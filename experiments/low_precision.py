"""Does bfloat16 with updates that are rounded at random train as well as float32?

    python -m experiments.low_precision

Runs `experiments.finetune` as it is without any flag, but for longer and at a learning rate at
which updates are too small for bfloat16: in float32, and in bfloat16 with each way in which updates
reach weights (`--update-precision`). Rounding to nearest loses what is below half the distance of
the numbers of bfloat16: here most of every update. `weights moved` is the share that is another
number at the end than at the start, and `points below float32` the difference of the test
accuracies.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from flax import nnx

from experiments._compilation_cache import keep_compiled_programs
from experiments._inputs import model_source
from experiments._precision import UPDATE_PRECISIONS
from experiments._settings import Settings as RunSettings
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._report import Report
from experiments.finetune import finetune
from zojax import models

COLUMNS = (
    "weights",
    "updates",
    "weights moved",
    "validation loss before",
    "after",
    "test accuracy",
    "points below float32",
    "state / weights",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the runs have in common."""

    steps: int = 2_000
    """Updates of each run."""
    learning_rate: float = 1e-5
    """Of all runs; a tenth of what the method has by default for the shipped model."""
    seed: int = 0
    """Of all runs."""
    model: str = RunSettings.model
    """See `experiments.finetune`."""
    task: str = RunSettings.task
    """See `experiments.finetune`."""
    batch_size: int = RunSettings.batch_size
    """Examples an update."""
    out: str = "runs/low_precision"
    """Folder of the runs; those that are finished there are not run again."""


def main(settings: Settings) -> Report:
    """Prints the table, and writes results/low_precision.jsonl."""
    report = Report("low_precision", COLUMNS, settings)
    runs = [("float32", "nearest"), *(("bfloat16", name) for name in UPDATE_PRECISIONS)]
    single = None
    for dtype, update_precision in runs:
        of_run = _run_settings(settings, dtype, update_precision)
        found = _finished(of_run)
        single = found["score_after"] if single is None else single
        report.row(
            dtype,
            update_precision,
            weights_moved(of_run),
            found["loss_before"],
            found["loss_after"],
            found["score_after"],
            100 * (single - found["score_after"]),
            found["state_bytes"] / found["weight_bytes"],
        )
    report.finish()
    return report


def _run_settings(settings: Settings, dtype: str, update_precision: str) -> RunSettings:
    out = Path(settings.out) / f"{dtype}-{update_precision}"
    return RunSettings(
        model=settings.model,
        task=settings.task,
        steps=settings.steps,
        batch_size=settings.batch_size,
        eval_every=max(1, settings.steps // 10),
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        dtype=dtype,
        update_precision=update_precision,
        out=out,
        resume=(out / "settings.yaml").exists(),
    )


def _finished(of_run: RunSettings) -> dict[str, Any]:
    """What result.json of the run says, after running it if need be."""
    path = of_run.out / "result.json"
    if not path.exists():
        finetune(of_run)
    return json.loads(path.read_text(encoding="utf-8"))


def weights_moved(of_run: RunSettings) -> float:
    """The share of weights that differ between the start of a run and its model."""
    old, new = (
        jax.tree.leaves(nnx.state(models.from_pretrained(source, dtype=of_run.dtype)))
        for source in (model_source(of_run.model), of_run.out / "model")
    )
    moved = sum(np.count_nonzero(a != b) for a, b in zip(old, new, strict=True))
    return moved / sum(leaf.size for leaf in old)


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main(tyro.cli(Settings, description=__doc__))
