r"""Does a decoder learn from rewards of what it writes, without a gradient or a log probability?

    python -m experiments.post_train

A small decoder, which has been shown solutions of Countdown puzzles and still gets most of them
wrong, writes an expression for every puzzle of a batch, once for each of a population of perturbed
models, all side by side. A function on the host checks the expressions exactly; the models that
earn more pull the weights towards them (`zojax.eggroll`). Puzzles of the test split have other
numbers than those that are trained on. Printed is the share of them that is solved before and
after, greedily, and the run is one of `experiments.finetune`:

    python -m experiments.finetune --model runs/post_train/base --task countdown \
        --objective reward:experiments.tasks:countdown_reward --method eggroll --num-queries 16

with its checkpoints, adapters, meshes and export. Bring a function, a task and a model of your own.
"""

import dataclasses
import json
from pathlib import Path
from typing import Literal

import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._methods import METHODS
from experiments._settings import Settings
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._report import Report
from experiments.finetune import finetune
from experiments.post_train import base

REWARD = "reward:experiments.tasks:countdown_reward"
COLUMNS = (
    *("method", "models a step", "steps", "seed", "texts written", "reward before", "after"),
    *("solved before", "after training"),
)


@dataclasses.dataclass(frozen=True)
class PostTraining:
    """Settings of post-training."""

    pretraining_steps: int = 400
    """Updates of the model with gradients, on solutions."""
    method: Literal[tuple(METHODS)] = "eggroll"
    """What learns from the rewards."""
    steps: int = 100
    """Updates."""
    batch_size: int = 16
    """Puzzles a step."""
    num_queries: int = 16
    """Directions a step; `eggroll` looks both ways along each."""
    learning_rate: float | None = 3e-3
    """None: that of the method."""
    radius: float | None = 0.01
    """How far the models of a population are from the weights; None: what the method says. At
    0.03 they write much worse than the model itself."""
    seed: int = 0
    """Of the run."""
    out: str = "runs/post_train"
    """Folder of the model and of the runs; what is finished there is not done again."""


def post_train(settings: PostTraining) -> list[dict]:
    """Prepares the model, trains it, prints a row, and returns it."""
    out = Path(settings.out)
    model = base.prepare(out / "base", settings.pretraining_steps)
    run = _settings(settings, model, out)
    path = run.out / "result.json"
    if not path.exists():
        finetune(run)
    result = json.loads(path.read_text(encoding="utf-8"))
    report = Report("post_train", COLUMNS, settings, names=1)
    models = result["loss_evaluations"] // run.steps
    report.row(
        *(run.method, models, run.steps, run.seed, result["loss_evaluations"] * run.batch_size),
        *_rewards(run.out),
        *(result["score_before"], result["score_after"]),
    )
    return report.finish()


def _settings(settings: PostTraining, model: Path, out: Path) -> Settings:
    run = out / f"{settings.method}-{settings.seed}"
    return Settings(
        model=str(model),
        task="countdown",
        objective=REWARD,
        method=settings.method,
        steps=settings.steps,
        batch_size=settings.batch_size,
        num_queries=settings.num_queries,
        learning_rate=settings.learning_rate,
        radius=settings.radius,
        chunk_size=settings.num_queries,
        max_length=base.LENGTH,
        eval_every=max(1, settings.steps // 5),
        seed=settings.seed,
        out=run,
        resume=(run / "settings.yaml").exists(),
    )


def _rewards(run: Path) -> tuple[float, float]:
    """The mean rewards of the first and the last tenth of a run."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [row["train_loss"] for row in map(json.loads, lines) if "train_loss" in row]
    part = max(1, len(losses) // 10)
    return -sum(losses[:part]) / part, -sum(losses[-part:]) / part


def main() -> None:
    settings = tyro.cli(PostTraining, description=__doc__)
    try:
        post_train(settings)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
