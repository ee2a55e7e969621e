"""Fine-tune a Hugging Face checkpoint without gradients, at the memory of inference.

Without any flag it trains the shipped model on the shipped reviews. The folder --out receives
the fine-tuned model in the Hugging Face layout, metrics, a plot and checkpoints.
"""

import contextlib
import dataclasses
import sys
from typing import Annotated, NamedTuple

import jax
import tyro
from rich.console import Console

from experiments._chunks import choose_chunk_size
from experiments._compilation_cache import keep_compiled_programs
from experiments._config_file import ConfigFile, to_yaml, with_config
from experiments._costs import measure_costs
from experiments._course import begin, end
from experiments._endings import Ending
from experiments._exits import ending_in_words, refusing
from experiments._interruption import Interruption
from experiments._job import Job, prepare
from experiments._launcher import launch
from experiments._learning_rate import choose_learning_rate
from experiments._listing import print_methods, print_models, print_tasks
from experiments._optimizer import make_optimizer
from experiments._processes import EndingTogether, Processes, ending_at_once, is_first
from experiments._programs import by_groups, make_judge, make_loss, write_model
from experiments._report import Result, describe, report, summarize
from experiments._run_folder import claimed
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
    frozen, layout = job.frozen, job.layout
    loss, judge = make_loss(job), make_judge(settings, job)
    console = Console(quiet=not is_first())
    describe(console, settings, job)
    with jax.set_mesh(layout.mesh), refusing():
        chunk_size = choose_chunk_size(settings, job, loss, console)
        settings, params = choose_learning_rate(settings, job, loss, chunk_size, console)
    tx = make_optimizer(settings, chunk_size, layout.step_axes)
    with jax.set_mesh(layout.mesh):
        lies = jax.tree.map(lambda leaf: leaf.sharding, params), layout.of_state(tx, params)
    step = training.make_step(tx, loss, shardings=lies)
    steps = training.make_steps(tx, loss, shardings=lies)
    update = by_groups(step, steps, frozen=frozen)

    with (
        # zojax then draws on every device what none has to send, and has them agree.
        jax.set_mesh(layout.mesh),
        contextlib.ExitStack() as stack,
    ):
        begun, params, state = begin(
            stack, settings, job, params, tx, loss, judge, console, interruption
        )
        with interruption.between_steps():
            last = train_from(begun, update, params, state)
        ended = end(begun, last)

    write_model(settings, job, ended.model)
    batch = begun.run.batches[settings.accumulate * last.step - 1]
    with jax.set_mesh(layout.mesh), showing(console, "measuring what an update costs"):
        costs = measure_costs(step, loss, ended.params, ended.state, frozen, batch, layout.assemble)
    if not is_first():
        return Outcome(ended.ending, None)
    result = summarize(settings, ended, chunk_size, costs)
    report(console, result, costs, metric=begun.run.metric)
    return Outcome(ended.ending, result)


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
