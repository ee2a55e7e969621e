"""What a user sees before and after a run: a description, a plot and a table."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments._costs import Costs
from experiments._course import Ended
from experiments._job import Job
from experiments._settings import Settings
from zojax import training


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
      out: the folder with everything; `out / "model"` is the fine-tuned model.
      ended: how the run ended, see `experiments._endings`: "finished" if all is well.
      explanation: the same in a sentence.
      learning_rate: of the run, or that of its schedule at the highest.
      best_step: after so many updates that model was made: the evaluation with the least
        validation loss.
      score_before: what the task's metric, usually accuracy, says of the test split before the
        first update.
      score_after: the same of the fine-tuned model.
      loss_before: on the validation split before the first update.
      loss_after: on the validation split, of the fine-tuned model.
      loss_evaluations: spent on training, each on a whole batch; a gradient counts as three.
      num_nonfinite: updates withheld because a loss was not finite.
      chunk_size: directions of an update that were evaluated side by side.
      step_over_forwards: time of an update over that of as many plain losses as it evaluates.
      memory_over_inference: bytes that an update needs (weights and temporaries) over those of
        the plain loss of a doubled batch.
      state_over_weights: bytes of the optimizer state over those of all weights.
    """

    out: Path
    ended: str
    explanation: str
    learning_rate: float
    best_step: int
    score_before: float
    score_after: float
    loss_before: float
    loss_after: float
    loss_evaluations: int
    num_nonfinite: int
    chunk_size: int
    step_over_forwards: float
    memory_over_inference: float
    state_over_weights: float


def summarize(settings: Settings, ended: Ended, chunk_size: int, costs: Costs) -> Result:
    """Returns the numbers of a run, with the scores and losses that its metrics hold.

    What they do not hold, or hold as null, is nan.
    """
    records = training.read_metrics(settings.out)

    def last(name: str, step: int | None = None) -> float:
        found = [r[name] for r in records if name in r and step in (None, r["step"])]
        return math.nan if not found or found[-1] is None else found[-1]

    return Result(
        out=settings.out,
        ended=ended.ending.ended,
        explanation=ended.ending.explanation,
        learning_rate=settings.learning_rate,
        best_step=ended.best_step,
        score_before=last("test_score", step=0),
        score_after=last("test_score"),
        loss_before=last("validation_loss", step=0),
        loss_after=last("validation_loss", step=ended.best_step),
        loss_evaluations=ended.loss_evaluations,
        num_nonfinite=ended.num_nonfinite,
        chunk_size=chunk_size,
        step_over_forwards=costs.step_over_forwards,
        memory_over_inference=costs.memory_over_inference,
        state_over_weights=costs.state_over_weights,
    )


def describe(console: Console, settings: Settings, job: Job) -> None:
    """Says what is about to run."""
    trained, frozen = (
        sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (job.params, job.frozen)
    )
    sizes = ", ".join(f"{len(split.labels):,} {name}" for name, split in job.splits.items())
    longest = max(int(split.lengths().max()) for split in job.splits.values())
    lengths = f"; up to {longest} tokens" if longest else ""
    cut = sum(split.num_truncated for split in job.splits.values())
    options = getattr(job.task.kind, "options", ())
    classes = f" of {', '.join(options)}" if options else ""
    lines = {
        "model": f"{settings.model}: {trained:,} weights"
        + (f" of an adapter beside {frozen:,}" if frozen else "")
        + f", {settings.dtype}",
        "head": job.task.kind.heads[0].replace("_", " ") + classes,
        "task": f"{settings.task}: {sizes}{lengths}"
        + (f" ({cut:,} sequences cut to that)" if cut else ""),
        "method": f"{settings.method}: {_numbers(settings)}, batch {settings.batch_size}",
        "device": f"{jax.device_count()} × {jax.devices()[0].device_kind}"
        + (f" of {jax.process_count()} processes" if jax.process_count() > 1 else ""),
        "out": str(settings.out),
    }
    for name, text in lines.items():
        line = f"[bold]{name:7}[/]{escape(text)}"
        console.print(line, highlight=False, soft_wrap=not console.is_terminal)


def _numbers(settings: Settings) -> str:
    rate = "learning rate " + (
        "to be found" if settings.learning_rate == "auto" else f"{settings.learning_rate:g}"
    )
    if settings.schedule != "constant":
        rate += f" ({settings.schedule})"
    if settings.radius is None:
        return f"gradients, {rate}"
    queries = f"{settings.num_queries} quer{'y' if settings.num_queries == 1 else 'ies'} a step"
    return f"{settings.sampler}, {rate}, radius {settings.radius:g}, {queries}"


def report(console: Console, result: Result, costs: Costs, *, metric: str) -> None:
    """Writes plot.png and result.json, and prints the closing table."""
    plot_run(training.read_metrics(result.out), result.out / "plot.png", metric=metric)
    as_json = dataclasses.asdict(result) | costs._asdict() | {"out": str(result.out)}
    # JSON has no word for nan.
    as_json = {name: None if value != value else value for name, value in as_json.items()}
    text = json.dumps(as_json, indent=2, allow_nan=False) + "\n"
    training.write_atomically(result.out / "result.json", text)
    console.print(_table(result, costs, metric))
    if result.ended != "finished":
        console.print(f"[red]{escape(result.ended)}:[/] {escape(result.explanation)}")
    console.print(
        f"model, plot and metrics: {escape(str(result.out))}", soft_wrap=True, highlight=False
    )


def _table(result: Result, costs: Costs, metric: str) -> Table:
    step_size, forward_size, state_size, weight_size = (
        f"{number / 1e6:,.1f} MB"
        for number in (costs.step_bytes, costs.forward_bytes, costs.state_bytes, costs.weight_bytes)
    )
    step_time, forward_time = (
        f"{1e3 * number:,.1f} ms" for number in (costs.step_seconds, costs.forward_seconds)
    )
    rows = {
        "ended": result.ended,
        f"test {metric} before": f"{result.score_before:.1%}",
        f"test {metric} after (best validation loss: step {result.best_step:,})": (
            f"{result.score_after:.1%}"
        ),
        "validation loss before": f"{result.loss_before:.4f}",
        "validation loss after": f"{result.loss_after:.4f}",
        "loss evaluations": f"{result.loss_evaluations:,}",
        f"step time / its forwards ({step_time} / {costs.evaluations} × {forward_time})": (
            f"{result.step_over_forwards:.2f}"
        ),
        f"peak memory / inference ({step_size} / {forward_size})": (
            f"{result.memory_over_inference:.2f}"
        ),
        f"optimizer state / weights ({state_size} / {weight_size})": (
            f"{result.state_over_weights:.2f}"
        ),
    }
    if result.num_nonfinite:
        rows["[red]updates withheld, loss not finite"] = f"[red]{result.num_nonfinite:,}"
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right", style="bold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def plot_run(records: list[dict[str, Any]], path: Path, *, metric: str) -> None:
    """Draws loss and score against loss evaluations, the fair axis for zeroth order.

    Args:
      records: lines of metrics.jsonl.
      path: of the PNG file.
      metric: what the score is called.
    """
    # Importing it takes half a second, and only the process that reports needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(*_series(records, "train_loss"), color="0.7", linewidth=1, label="train")
    left.plot(*_series(records, "validation_loss"), marker="o", markersize=3, label="validation")
    left.set_ylabel("loss")
    right.plot(*_series(records, "validation_score"), marker="o", markersize=3, label="validation")
    right.plot(*_series(records, "test_score"), linestyle="", marker="s", label="test")
    right.set_ylabel(metric)
    for panel in (left, right):
        panel.set_xlabel("loss evaluations")
        panel.grid(visible=True, alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=150)


def _series(records: list[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    points = [record for record in records if record.get(name) is not None]
    return [point["loss_evaluations"] for point in points], [point[name] for point in points]
