"""Fine-tune a Hugging Face checkpoint without gradients, at the memory of inference.

Without any flag it trains the shipped model on the shipped reviews. The folder --out receives
the fine-tuned model in the Hugging Face layout, metrics, a plot and checkpoints.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import optax
import tyro
from flax import nnx
from rich.console import Console

import zojax
from experiments import tasks
from experiments._costs import measure_costs
from experiments._inputs import load_model, open_run
from experiments._progress import ProgressView, Window
from experiments._report import Result, describe, report
from experiments._run import Run
from zojax import training

LOG_EVERY = 10


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run is made of; on one machine it determines every weight that comes out."""

    model: str = "opt-reviews"
    """Shipped name (opt-reviews), folder, or Hugging Face id of an OPT checkpoint."""
    task: str = "reviews"
    """Shipped name (reviews), folder with train/validation/test.jsonl, or one .jsonl file."""
    template: str | None = None
    """Text with {fields} of the data, ending in {option}; None: the task's own."""
    options: tuple[str, ...] | None = None
    """Words to choose from, in the order of the labels; None: the task's own."""
    method: str = "mezo"
    """How an update is made; so far: mezo."""
    steps: int = 600
    """Updates."""
    batch_size: int = 16
    """Examples an update."""
    learning_rate: float = 1e-4
    """Constant over the run."""
    radius: float = 1e-3
    """How far from the weights the loss is probed (the papers' epsilon)."""
    num_queries: int = 1
    """Directions probed an update; each costs two loss evaluations."""
    sampler: Literal["gaussian", "rademacher", "sphere", "coordinate", "factored"] = "gaussian"
    """Law of the directions."""
    rank: int = 1
    """Rank of factored directions; the other laws have none."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the weights."""
    max_length: int | None = None
    """Longer texts lose tokens on the left; None: what the model can, at most 2048."""
    eval_every: int = 100
    """Updates between evaluations; each comes with a checkpoint."""
    seed: int = 0
    """Of the directions and of the order of the data."""
    out: Path = Path("runs/finetune")
    """Folder for all that the run writes."""
    resume: bool = False
    """Continue the run in --out from its latest checkpoint."""

    def __post_init__(self):
        # A notebook may pass paths as strings, and strings as paths.
        for name, kind in (("model", str), ("task", str), ("out", Path)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        choices = {"method": METHODS, "sampler": SAMPLERS, "dtype": DTYPES}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r} is unknown; choose from {', '.join(known)}"
                )
        for name in ("steps", "batch_size", "num_queries", "rank", "eval_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("learning_rate", "radius"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be above 0 and finite; got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0; got {self.seed}")


# float16 is left out: attention in float16 does not run on CPU, and bfloat16 does everywhere.
DTYPES = ("float32", "bfloat16")

SAMPLERS = {
    "gaussian": lambda settings: zojax.gaussian(),
    "rademacher": lambda settings: zojax.rademacher(),
    "sphere": lambda settings: zojax.sphere(),
    "coordinate": lambda settings: zojax.coordinate(),
    "factored": lambda settings: zojax.factored(settings.rank),
}


def mezo(settings: Settings, key: jax.Array) -> optax.GradientTransformationExtraArgs:
    return zojax.mezo(
        settings.learning_rate,
        key,
        radius=settings.radius,
        num_queries=settings.num_queries,
        sampler=SAMPLERS[settings.sampler](settings),
    )


METHODS = {"mezo": mezo}


class Job(NamedTuple):
    """What is read before a run starts."""

    model: nnx.Module
    tokenizer: Any
    task: tasks.Task
    splits: dict[str, tasks.Encoded]


def finetune(settings: Settings) -> Result:
    """Runs the whole job, and returns its numbers.

    Raises:
      ValueError: for settings or data that cannot be used, before any training.
    """
    return train(settings, prepare(settings))


def prepare(settings: Settings) -> Job:
    """Reads data and model, checks that they fit, and claims the folder of the run."""
    task, examples = tasks.load_task(
        settings.task, template=settings.template, options=settings.options
    )
    if settings.batch_size > len(examples["train"]):
        raise ValueError(
            f"batch_size {settings.batch_size} is larger than the train split with its "
            f"{len(examples['train'])} examples; choose a smaller one"
        )
    model, tokenizer = load_model(settings.model, settings.dtype)
    positions = model.config.max_position_embeddings
    max_length = min(positions, 2048) if settings.max_length is None else settings.max_length
    if not 3 <= max_length <= positions:
        raise ValueError(
            f"max_length must lie between 3 and {positions}, the positions of the model; "
            f"got {max_length}"
        )
    splits = tasks.encode_splits(tokenizer, examples, max_length=max_length)
    open_run(settings.out, dataclasses.asdict(settings), resume=settings.resume)
    return Job(model, tokenizer, task, splits)


def train(settings: Settings, job: Job) -> Result:
    """Trains, evaluates, measures, writes."""
    graphdef, params = nnx.split(job.model, nnx.Param)

    def loss(params, batch):
        return tasks.option_loss(nnx.merge(graphdef, params), batch)

    @jax.jit
    def scores(params, batch):
        return tasks.option_scores(nnx.merge(graphdef, params), batch)

    # threefry4x32 draws normal numbers three times as fast as jax's default generator.
    tx = METHODS[settings.method](settings, jax.random.key(settings.seed, impl="threefry4x32"))
    step = training.make_step(tx, loss)

    with (
        training.Checkpoints(settings.out / "checkpoints") as checkpoints,
        training.MetricsWriter(settings.out, step=checkpoints.latest_step or 0) as metrics,
    ):
        run = Run(settings, job.task, job.splits, scores, checkpoints, metrics, Console())
        describe(run.console, settings, job, params)
        # Under jit, no two leaves of the state share a buffer, and both may be donated.
        start, params, state = run.begin(params, jax.jit(tx.init)(params))
        params, state = _update(run, step, start, params, state)
        spent = int(optax.tree.get(state, "num_evaluations"))
        num_nonfinite = int(optax.tree.get(state, "num_nonfinite"))
        best_step, params = run.best(params)
        run.evaluate(params, "test", step=settings.steps, spent=spent)

    nnx.merge(graphdef, params).save_pretrained(settings.out / "model")
    job.tokenizer.save_pretrained(settings.out / "model")
    costs = measure_costs(step, loss, params, state, run.batch(settings.steps - 1))
    tests = [r["test_score"] for r in training.read_metrics(settings.out) if "test_score" in r]
    result = Result(
        out=settings.out,
        best_step=best_step,
        score_before=tests[0],
        score_after=tests[-1],
        loss_evaluations=spent,
        num_nonfinite=num_nonfinite,
        step_over_two_forwards=costs.step_over_two_forwards,
        memory_over_inference=costs.memory_over_inference,
    )
    report(run.console, result, costs)
    return result


def _update(run: Run, step: Callable, start: int, params: Any, state: Any) -> tuple[Any, Any]:
    """The loop: makes all updates that are left, and returns the last params and state."""
    steps, window = run.settings.steps, Window()
    with ProgressView(run.console, steps=steps, step=start) as view:
        for done in range(start + 1, steps + 1):
            batch = run.batch(done - 1)
            params, state, measured = step(params, state, batch=batch)
            window.add(measured, batch)

            evaluates = done % run.settings.eval_every == 0 or done == steps
            if not evaluates and done % LOG_EVERY:
                continue  # the host does not wait for the device
            numbers = window.read(done)
            run.metrics.write(done, **numbers)
            view.log(done, numbers)
            if evaluates:
                spent = numbers["loss_evaluations"]
                dev = run.evaluate(params, "validation", step=done, spent=spent)
                run.checkpoints.save(done, params, state, loss=dev.loss)
                view.evaluated(done, dev.score, dev.loss, numbers)
                window.restart_clock()
    return params, state


def main() -> None:
    try:
        settings = tyro.cli(Settings, description=__doc__)
        job = prepare(settings)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    try:
        train(settings, job)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; --resume continues from the latest checkpoint") from None


if __name__ == "__main__":
    main()
