"""Fine-tune a Hugging Face checkpoint without gradients, at the memory of inference.

Without any flag it trains the shipped model on the shipped reviews. The folder --out receives
the fine-tuned model in the Hugging Face layout, metrics, a plot and checkpoints.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable
from typing import Annotated, Any

import jax
import optax
import tyro
from flax import nnx
from rich.console import Console

from experiments._adapters import ADAPTERS
from experiments._chunks import choose_chunk_size
from experiments._compilation_cache import keep_compiled_programs
from experiments._costs import measure_costs
from experiments._evaluation import make_evaluate
from experiments._inputs import model_source, save_processor
from experiments._job import Job, prepare, run_key
from experiments._launcher import launch
from experiments._layout import local
from experiments._listing import print_methods, print_models, print_tasks
from experiments._methods import METHODS
from experiments._processes import Processes, ending_at_once, is_first
from experiments._progress import ProgressView, Window
from experiments._report import Result, describe, report, summarize
from experiments._run import Run
from experiments._settings import Settings
from experiments._vectors import use_wide_vectors
from zojax import training


def finetune(settings: Settings) -> Result | None:
    """Runs the whole job, and returns its numbers; of several processes, the first one does.

    Raises:
      ValueError: for settings or data that cannot be used, before any training.
    """
    return train(settings, prepare(settings))


def train(settings: Settings, job: Job) -> Result | None:
    """Trains, evaluates, measures, writes; the weights of the job are used up."""
    graphdef, params, frozen, layout = job.graphdef, job.params, job.frozen, job.layout

    def loss(params, frozen, batch):
        return job.objective.value_fn(nnx.merge(graphdef, params, frozen), batch)

    # An update has two points of a batch in flight, so twice the batch fits as well.
    evaluate = make_evaluate(
        job.task,
        job.processor,
        lambda weights: nnx.merge(graphdef, *weights),
        batch_size=2 * settings.batch_size,
        layout=layout,
    )
    console = Console(quiet=not is_first())
    describe(console, settings, job)
    with jax.set_mesh(layout.mesh):
        chunk_size = choose_chunk_size(settings, job, loss, console)
    tx = METHODS[settings.method].make(settings, run_key(settings), chunk_size, layout.step_axes)
    with jax.set_mesh(layout.mesh):
        lies = jax.tree.map(lambda leaf: leaf.sharding, params), layout.of_state(tx, params)
    step = training.make_step(tx, loss, shardings=lies)
    update = _by_groups(step, training.make_steps(tx, loss, shardings=lies), frozen)

    with (
        # zojax then draws on every device what none has to send, and has them agree.
        jax.set_mesh(layout.mesh),
        training.Checkpoints(settings.out / "checkpoints") as checkpoints,
        _metrics(settings, checkpoints) as metrics,
    ):

        def judge(params, split):
            return evaluate((params, frozen), split)

        run = Run(settings, job, judge, checkpoints, metrics, console)
        # Under jit, no two leaves of the state share a buffer, and both may be donated.
        state = jax.jit(tx.init, out_shardings=lies[1])(params)
        start, params, state = run.begin(params, state)
        params, state = _loop(run, update, start, params, state)
        spent = int(optax.tree.get(state, "num_evaluations"))
        num_nonfinite = int(optax.tree.get(state, "num_nonfinite"))
        best_step, params = run.best(params)
        run.evaluate(params, "test", step=settings.steps, spent=spent)

    trained, others = local(params), local(frozen)
    if is_first():
        _export(settings, nnx.merge(graphdef, trained, others), job.processor)
    batch = run.batches[settings.steps - 1]
    with jax.set_mesh(layout.mesh):
        costs = measure_costs(step, loss, params, state, frozen, batch, layout.assemble)
    if not is_first():
        return None
    result = summarize(settings.out, best_step, spent, num_nonfinite, chunk_size, costs)
    report(console, result, costs, metric=run.metric)
    return result


def _metrics(settings: Settings, checkpoints: training.Checkpoints) -> Any:
    """Where the numbers of the run go; None inside, in a process that writes none."""
    if not is_first():
        return contextlib.nullcontext()
    return training.MetricsWriter(settings.out, step=checkpoints.latest_step or 0)


def _by_groups(step: Callable, steps: Callable, frozen: Any) -> Callable:
    """Both programs as one function; either is compiled only if there is a group for it."""

    def update(params, state, group):
        if group.size == 1:
            return step(params, state, frozen=frozen, batch=group.batch)
        return steps(params, state, {"batch": group.batch}, frozen=frozen)

    return update


def _export(settings: Settings, model: nnx.Module, processor: Any) -> None:
    """Writes the model for transformers, and an adapter for PEFT as well."""
    export = ADAPTERS[settings.adapter].export
    model = export(model, settings.out / "adapter", model_source(settings.model))
    model.save_pretrained(settings.out / "model")
    save_processor(processor, settings.out / "model")


def _loop(run: Run, update: Callable, start: int, params: Any, state: Any) -> tuple[Any, Any]:
    """The loop: makes all updates that are left, and returns the last params and state."""
    window = Window()
    names = {"metric": run.metric, "unit": run.unit}
    with ProgressView(run.console, steps=run.settings.steps, step=start, **names) as view:
        for group in run.groups_from(start):
            params, state, measured = update(params, state, group)
            # Other processes have about as many tokens as this one.
            window.add(measured, group.tokens * jax.process_count())

            done = group.last
            if not run.logs_at(done):
                continue  # the host does not wait for the device
            numbers = window.read(done)
            training.check_replicas(params)
            run.record(done, **numbers)
            view.log(done, numbers)
            if run.evaluates_at(done):
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
    processes: Annotated[Processes, tyro.conf.OmitArgPrefixes]
    list_methods: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the methods with the numbers that they start from, and stop."""
    list_tasks: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the tasks that have a name, and stop."""
    list_models: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the shipped models and the families that can be read, and stop."""

    def __post_init__(self):
        self.processes.check_batch(self.settings.batch_size)


def main() -> None:
    with ending_at_once():
        _main()


def _main() -> None:
    try:
        command = tyro.cli(Command, description=__doc__)
        if _answer(command):
            return
        settings, processes = command.settings, command.processes
        if processes.start_here:
            sys.exit(launch("experiments.finetune", sys.argv[1:], processes.num_processes))
        processes.join()
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
    use_wide_vectors()
    keep_compiled_programs()
    main()
