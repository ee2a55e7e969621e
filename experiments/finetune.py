"""Fine-tune a Hugging Face checkpoint without gradients, at the memory of inference.

Without any flag it trains the shipped model on the shipped reviews. The folder --out receives
the fine-tuned model in the Hugging Face layout, metrics, a plot and checkpoints.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
import tyro
from flax import nnx
from rich.console import Console

from experiments import tasks
from experiments._costs import measure_costs
from experiments._inputs import load_model, model_source, open_run
from experiments._methods import METHODS
from experiments._progress import ProgressView, Window
from experiments._report import Result, describe, report
from experiments._run import Run
from experiments._settings import Settings
from zojax import lora, training

LOG_EVERY = 10
# Where the key of a new adapter branches off that of the directions, beyond any step.
_ADAPTER = 2**31 - 1


class Job(NamedTuple):
    """What is read before a run starts.

    Attributes:
      graphdef: the model without its weights.
      params: what is trained: all weights, or those of an adapter.
      frozen: what is not.
      tokenizer: of the model.
      task: what the data are about.
      splits: train, validation and test.
    """

    graphdef: nnx.GraphDef
    params: nnx.State
    frozen: nnx.State
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
    trained = nnx.Param
    if settings.adapter == "lora":
        key = jax.random.fold_in(_key(settings), _ADAPTER)
        shape = {"rank": settings.rank, "scale": settings.scale}
        model = lora.adapt(model, settings.targets, key=key, **shape)
        trained = nnx.LoRAParam
    open_run(settings.out, dataclasses.asdict(settings), resume=settings.resume)
    return Job(*nnx.split(model, trained, ...), tokenizer, task, splits)


def train(settings: Settings, job: Job) -> Result:
    """Trains, evaluates, measures, writes; the weights of the job are used up."""
    graphdef, params, frozen = job.graphdef, job.params, job.frozen

    def loss(params, frozen, batch):
        return tasks.option_loss(nnx.merge(graphdef, params, frozen), batch)

    @jax.jit
    def scores(frozen, params, batch):
        return tasks.option_scores(nnx.merge(graphdef, params, frozen), batch)

    tx = METHODS[settings.method].make(settings, _key(settings))
    step = training.make_step(tx, loss)

    with (
        training.Checkpoints(settings.out / "checkpoints") as checkpoints,
        training.MetricsWriter(settings.out, step=checkpoints.latest_step or 0) as metrics,
    ):
        run = Run(
            settings,
            job.task,
            job.splits,
            functools.partial(scores, frozen),
            checkpoints,
            metrics,
            Console(),
        )
        describe(run.console, settings, job)
        # Under jit, no two leaves of the state share a buffer, and both may be donated.
        start, params, state = run.begin(params, jax.jit(tx.init)(params))
        update = functools.partial(step, frozen=frozen)
        params, state = _update(run, update, start, params, state)
        spent = int(optax.tree.get(state, "num_evaluations"))
        num_nonfinite = int(optax.tree.get(state, "num_nonfinite"))
        best_step, params = run.best(params)
        run.evaluate(params, "test", step=settings.steps, spent=spent)

    _export(settings, nnx.merge(graphdef, params, frozen), job.tokenizer)
    batch = run.batch(settings.steps - 1)
    costs = measure_costs(step, loss, params, state, frozen=frozen, batch=batch)
    records = training.read_metrics(settings.out)
    tests = [record["test_score"] for record in records if "test_score" in record]
    losses = [record["validation_loss"] for record in records if "validation_loss" in record]
    result = Result(
        out=settings.out,
        best_step=best_step,
        score_before=tests[0],
        score_after=tests[-1],
        loss_before=losses[0],
        loss_after=min(losses[1:]),
        loss_evaluations=spent,
        num_nonfinite=num_nonfinite,
        step_over_forwards=costs.step_over_forwards,
        memory_over_inference=costs.memory_over_inference,
        state_over_weights=costs.state_over_weights,
    )
    report(run.console, result, costs)
    return result


def _export(settings: Settings, model: nnx.Module, tokenizer: Any) -> None:
    """Writes the model for transformers, and an adapter for PEFT as well."""
    if settings.adapter == "lora":
        base = model_source(settings.model)
        lora.save_peft(model, settings.out / "adapter", base_model=base)
        model = lora.merge(model)
    model.save_pretrained(settings.out / "model")
    tokenizer.save_pretrained(settings.out / "model")


def _key(settings: Settings) -> jax.Array:
    # threefry4x32 draws normal numbers three times as fast as jax's default generator.
    return jax.random.key(settings.seed, impl="threefry4x32")


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
