"""Fine-tune a Hugging Face checkpoint without gradients, at the memory of inference.

Without any flag it trains the shipped model on the shipped reviews. The folder --out receives
the fine-tuned model in the Hugging Face layout, metrics, a plot and checkpoints.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import optax
import tyro
from flax import nnx
from rich.console import Console

from experiments import tasks
from experiments._adapters import ADAPTERS
from experiments._costs import measure_costs
from experiments._inputs import checked_length, load_model, model_source, open_run
from experiments._listing import print_models, print_tasks, print_methods
from experiments._methods import METHODS
from experiments._objectives import OBJECTIVES
from experiments._progress import ProgressView, Window
from experiments._report import Result, describe, report
from experiments._run import Run
from experiments._settings import Settings
from zojax import training

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
    max_length = checked_length(settings.max_length, model)
    splits = tasks.encode_splits(tokenizer, examples, max_length=max_length)
    adapter = ADAPTERS[settings.adapter]
    model = adapter.adapt(model, settings, jax.random.fold_in(_key(settings), _ADAPTER))
    open_run(settings.out, dataclasses.asdict(settings), resume=settings.resume)
    return Job(*nnx.split(model, adapter.trained, ...), tokenizer, task, splits)


def train(settings: Settings, job: Job) -> Result:
    """Trains, evaluates, measures, writes; the weights of the job are used up."""
    graphdef, params, frozen = job.graphdef, job.params, job.frozen
    objective = OBJECTIVES[settings.objective]

    def loss(params, frozen, batch):
        return objective(nnx.merge(graphdef, params, frozen), batch)

    @jax.jit
    def scores(frozen, params, batch):
        return tasks.option_scores(nnx.merge(graphdef, params, frozen), batch)

    tx = METHODS[settings.method].make(settings, _key(settings))
    step = training.make_step(tx, loss)

    with (
        training.Checkpoints(settings.out / "checkpoints") as checkpoints,
        training.MetricsWriter(settings.out, step=checkpoints.latest_step or 0) as metrics,
    ):
        of_params = functools.partial(scores, frozen)
        run = Run(settings, job.task, job.splits, of_params, checkpoints, metrics, Console())
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
    batch = run.batches[settings.steps - 1]
    costs = measure_costs(step, loss, params, state, frozen=frozen, batch=batch)
    result = Result.of_run(settings.out, best_step, spent, num_nonfinite, costs)
    report(run.console, result, costs)
    return result


def _export(settings: Settings, model: nnx.Module, tokenizer: Any) -> None:
    """Writes the model for transformers, and an adapter for PEFT as well."""
    export = ADAPTERS[settings.adapter].export
    model = export(model, settings.out / "adapter", model_source(settings.model))
    model.save_pretrained(settings.out / "model")
    tokenizer.save_pretrained(settings.out / "model")


def _key(settings: Settings) -> jax.Array:
    # threefry4x32 draws normal numbers three times as fast as jax's default generator.
    return jax.random.key(settings.seed, impl="threefry4x32")


def _update(run: Run, step: Callable, start: int, params: Any, state: Any) -> tuple[Any, Any]:
    """The loop: makes all updates that are left, and returns the last params and state."""
    steps, window = run.settings.steps, Window()
    with ProgressView(run.console, steps=steps, step=start) as view:
        for done, batch in enumerate(run.batches_from(start), start=start + 1):
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


@dataclasses.dataclass(frozen=True)
class Command:
    """A run, or a question that is answered without one."""

    settings: Annotated[Settings, tyro.conf.OmitArgPrefixes]
    list_methods: bool = False
    """Print the methods with the numbers that they start from, and stop."""
    list_tasks: bool = False
    """Print the tasks that have a name, and stop."""
    list_models: bool = False
    """Print the shipped models and the families that can be read, and stop."""


def main() -> None:
    try:
        command = tyro.cli(Command, description=__doc__)
        if _answer(command):
            return
        settings = command.settings
        job = prepare(settings)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    try:
        train(settings, job)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; --resume continues from the latest checkpoint") from None


def _answer(command: Command) -> bool:
    """Prints the lists that are asked for, and says whether there were any."""
    asked = {
        print_methods: command.list_methods,
        print_tasks: command.list_tasks,
        print_models: command.list_models,
    }
    for print_list in (answer for answer, wanted in asked.items() if wanted):
        print_list(Console())
    return any(asked.values())


if __name__ == "__main__":
    main()
