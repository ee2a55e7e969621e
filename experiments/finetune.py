"""Fine-tune a Hugging Face checkpoint without gradients, at the memory of inference.

Without any flag it trains the shipped model on the shipped reviews. The folder --out receives
the fine-tuned model in the Hugging Face layout, metrics, a plot and checkpoints.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import optax
import tyro
from flax import nnx
from rich.console import Console

from experiments._averaging import averaged
from experiments._chunks import choose_chunk_size
from experiments._compilation_cache import keep_compiled_programs
from experiments._config_file import ConfigFile, to_yaml, with_config
from experiments._costs import measure_costs
from experiments._diagnostics import Diagnostics
from experiments._endings import Ending, conclude
from experiments._evaluation import make_evaluate
from experiments._exits import ending_in_words, refusing
from experiments._export import export
from experiments._interruption import Interruption
from experiments._job import Job, prepare
from experiments._launcher import launch
from experiments._layout import local
from experiments._learning_rate import choose_learning_rate
from experiments._listing import print_methods, print_models, print_tasks
from experiments._metrics_writers import open_writers
from experiments._optimizer import make_optimizer
from experiments._precision import warn_of_small_radius, warn_of_small_updates
from experiments._processes import EndingTogether, Processes, ending_at_once, is_first
from experiments._report import Result, describe, report, summarize
from experiments._run import Run
from experiments._run_folder import claimed
from experiments._saving import Cadence
from experiments._seed_logs import RunLog, describe_run
from experiments._settings import Settings
from experiments._status import showing
from experiments._training_loop import train_from
from experiments._vectors import use_wide_vectors
from zojax import training


class Outcome(NamedTuple):
    """How a run ended, and its numbers; of several processes, the first one has them."""

    ending: Ending
    result: Result | None


def finetune(settings: Settings) -> Result | None:
    """Runs the whole job, and returns its numbers; of several processes, the first one does.

    Raises:
      ValueError: for settings or data that cannot be used, before any training.
      OSError: naming what cannot be written; checkpoints from before are untouched.
      Stopped: if a signal asks for it, a KeyboardInterrupt; a checkpoint has been saved.
    """
    return train(settings, prepare(settings)).result


def train(settings: Settings, job: Job) -> Outcome:
    """Trains, evaluates, measures, writes; the weights of the job are used up."""
    with contextlib.ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        if is_first():
            stack.enter_context(claimed(settings.out, to_yaml(settings), resume=settings.resume))
        return _train(settings, job, interruption)


def _train(settings: Settings, job: Job, interruption: Interruption) -> Outcome:
    graphdef, params, frozen, layout = job.graphdef, job.params, job.frozen, job.layout

    def loss(params, frozen, batch):
        return job.objective.value_fn(nnx.merge(graphdef, params, frozen), batch)

    # An update has two points of a batch in flight, so twice the batch fits as well.
    evaluate = make_evaluate(
        job.task,
        job.processor,
        lambda weights: nnx.merge(graphdef, *weights),
        batch_size=2 * settings.part_size,
        layout=layout,
    )
    console = Console(quiet=not is_first())
    describe(console, settings, job)
    with jax.set_mesh(layout.mesh), refusing():
        chunk_size = choose_chunk_size(settings, job, loss, console)
        settings, params = choose_learning_rate(settings, job, loss, chunk_size, console)
    tx = make_optimizer(settings, chunk_size, layout.step_axes)
    with jax.set_mesh(layout.mesh):
        lies = jax.tree.map(lambda leaf: leaf.sharding, params), layout.of_state(tx, params)
    step = training.make_step(tx, loss, shardings=lies)
    update = _by_groups(step, training.make_steps(tx, loss, shardings=lies), frozen)

    with (
        # zojax then draws on every device what none has to send, and has them agree.
        jax.set_mesh(layout.mesh),
        _checkpoints(settings) as checkpoints,
        _writers(settings, checkpoints) as writers,
    ):

        def judge(params, split, **watched):
            return evaluate((params, frozen), split, **watched)

        diagnostics = Diagnostics(settings, job, loss) if settings.diagnostics else None
        run = Run(
            *(settings, job, judge, checkpoints, writers, diagnostics, console, interruption),
            cadence=Cadence(settings),
        )
        # Under jit, no two leaves of the state share a buffer, and both may be donated.
        state = jax.jit(tx.init, out_shardings=lies[1])(params)
        header = describe_run(settings, job.graphdef, params, frozen, state)
        untrained = training.fingerprint(params, rounded=True)
        start, params, state = run.begin(params, state)
        warn_of_small_radius(console, params, settings.radius)
        if settings.dtype != "float32" and settings.update_precision == "nearest":
            sizes = training.make_update_sizes(tx, loss)
            first = layout.assemble(run.batches[settings.accumulate * start])
            warn_of_small_updates(console, params, sizes(params, state, frozen=frozen, batch=first))
        with RunLog.open(settings, header, start, console) as log, interruption.between_steps():
            last = train_from(run, update, log, start, params, state)
        done, params, state = last.step, last.params, last.state
        spent = int(optax.tree.get(state, "num_evaluations")) // settings.accumulate
        num_nonfinite = int(optax.tree.get(state, "num_nonfinite"))
        ending = last.ending or conclude(
            settings,
            step=done,
            num_nonfinite=num_nonfinite,
            moved=bool((training.fingerprint(params, rounded=True) != untrained).any()),
            best_loss=checkpoints.best_loss,
        )
        best_step, params, state = run.best(params, state)
        best = averaged(params, state)
        run.evaluate(best, "test", step=done, spent=spent)

    trained, others = local(best), local(frozen)
    if is_first():
        export(settings, nnx.merge(graphdef, trained, others), job.processor)
    batch = run.batches[settings.accumulate * done - 1]
    with jax.set_mesh(layout.mesh), showing(console, "measuring what an update costs"):
        costs = measure_costs(step, loss, params, state, frozen, batch, layout.assemble)
    if not is_first():
        return Outcome(ending, None)
    result = summarize(settings, best_step, spent, num_nonfinite, chunk_size, costs, ending)
    report(console, result, costs, metric=run.metric)
    return Outcome(ending, result)


def _checkpoints(settings: Settings) -> training.Checkpoints:
    kept = {"keep_last": settings.keep_last, "keep_best": settings.keep_best}
    return training.Checkpoints(settings.out / "checkpoints", **kept)


def _writers(settings: Settings, checkpoints: training.Checkpoints) -> Any:
    """Where the numbers of the run go; nowhere, in a process that writes none."""
    if not is_first():
        return contextlib.nullcontext([])
    return open_writers(settings, checkpoints.latest_step)


def _by_groups(step: Callable, steps: Callable, frozen: Any) -> Callable:
    """Both programs as one function; either is compiled only if there is a group for it."""

    def update(params, state, group):
        if group.size == 1:
            return step(params, state, frozen=frozen, batch=group.batch)
        return steps(params, state, {"batch": group.batch}, frozen=frozen)

    return update


@dataclasses.dataclass(frozen=True)
class Command:
    """A run, or a question that is answered without one."""

    settings: Annotated[Settings, tyro.conf.OmitArgPrefixes]
    processes: Annotated[Processes, tyro.conf.OmitArgPrefixes]
    file: Annotated[ConfigFile, tyro.conf.OmitArgPrefixes]
    list_methods: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the methods with the numbers that they start from, and stop."""
    list_tasks: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the tasks that have a name, and stop."""
    list_models: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the shipped models and the families that can be read, and stop."""

    def __post_init__(self):
        self.processes.check_batch(self.settings.batch_size)


def main() -> None:
    with ending_at_once(), ending_in_words():
        _main()


def _main() -> None:
    try:
        command = tyro.cli(Command, args=with_config(sys.argv[1:]), description=__doc__)
        if _answer(command):
            return
        settings, processes = command.settings, command.processes
        if processes.start_here:
            sys.exit(launch("experiments.finetune", sys.argv[1:], processes.num_processes))
        processes.join()
        job = prepare(settings)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    ending = train(settings, job).ending
    if ending.status:
        raise EndingTogether(ending.status)


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
