"""How many more runs a second does a sweep make if they are side by side?

    python -m experiments.benchmarks.sweep

For runs of `experiments.finetune` that differ in the seed, this times, interleaved, `updates`
updates of each of N runs, one run after another, and as many of all of them in one program, as
`experiments.sweep --side-by-side N` makes them: by `vmap`, as on an accelerator, and in turn, as on
a CPU. Batches are those of the runs: one after another padded each by itself, side by side to the
longest. gain = the time of one after another over that of the program, the median of the rounds.
Compiling is apart: a program for one run, as one after another needs it for every learning rate,
and one for all N. memory is the peak of the program for all over N times that for one. Evaluations,
which are made one run after another in both, are left out.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import tyro

from experiments import _lanes
from experiments._job import Job, prepare
from experiments._optimizer import make_optimizer
from experiments._programs import make_loss
from experiments._settings import Settings as RunSettings
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._report import Report
from zojax import training
from zojax.training import seconds_side_by_side

COLUMNS = (
    *("method", "batch", "runs", "program", "one after another ms", "side by side ms", "gain"),
    *("spread", "compile one s", "compile all s", "memory"),
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of sweeps."""

    model: str = "opt-reviews"
    task: str = "reviews"
    methods: tuple[str, ...] = ("mezo",)
    batches: tuple[int, ...] = (16, 4)
    """Examples of a batch of a run."""
    runs: tuple[int, ...] = (2, 4, 8, 16)
    updates: int = 10
    """Of every run in a round, as between two lines of a log."""
    repetitions: int = 5


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/sweep.jsonl and returns its rows."""
    report = Report("sweep", COLUMNS, settings)
    for method in settings.methods:
        for size in settings.batches:
            names = {"model": settings.model, "task": settings.task, "method": method}
            run = RunSettings(**names, batch_size=size, chunk_size=1)
            job = prepare(run)
            for count in settings.runs:
                for row in _measure(run, job, count, settings):
                    report.row(method, size, count, *row)
    return report.finish()


def _measure(
    run: RunSettings, job: Job, count: int, settings: Settings
) -> Iterator[tuple[Any, ...]]:
    """A row for each program of all runs: times of an update, gain, compile times and memory."""
    loss, axes, data = make_loss(job), job.layout.step_axes, job.objective.data
    each = [dataclasses.replace(run, seed=seed) for seed in range(count)]
    orders = [training.batches(len(data.lengths()), run.batch_size, own.seed) for own in each]
    calls = range(settings.updates)
    with jax.set_mesh(job.layout.mesh):
        transformations = [make_optimizer(own, 1, axes) for own in each]
        starts = [(job.params, tx.init(job.params)) for tx in transformations]
        one = training.make_step(transformations[0], loss)
        batches = [[data.batch(order[call]) for call in calls] for order in orders]
        alone = [
            _Running(one, start, [job.layout.assemble(batch) for batch in own], frozen=job.frozen)
            for start, own in zip(starts, batches, strict=True)
        ]
        joined = _lanes.batches(data, orders, settings.updates)
        together = {
            name: _Running(
                training.make_step(_lanes.make_optimizer(run, 1, axes, in_turn=in_turn), loss),
                _lanes.join(starts),
                [job.layout.assemble(joined[call], 1) for call in calls],
                frozen=job.frozen,
                rate=jnp.full((count,), run.learning_rate),
            )
            for name, in_turn in (("vmap", False), ("in turn", True))
        }
        of_one, compile_one = alone[0].compiled()
        of_all = {name: running.compiled() for name, running in together.items()}
        seconds = seconds_side_by_side(
            {"alone": lambda: [own() for own in alone], **together},
            repetitions=settings.repetitions,
        )
    plain = seconds.pop("alone")
    for name, found in seconds.items():
        program, compile_all = of_all[name]
        gains = [a / b for a, b in zip(plain, found, strict=True)]
        milliseconds = (1e3 * statistics.median(s) / settings.updates for s in (plain, found))
        memory = training.peak_bytes(program) / (count * training.peak_bytes(of_one))
        spread = f"{min(gains):.2f} - {max(gains):.2f}"
        gain = statistics.median(gains)
        yield name, *milliseconds, gain, spread, compile_one, compile_all, memory


class _Running:
    """A step that goes on and on over the same batches."""

    def __init__(self, step: Callable, trees: Any, batches: list[Any], **told: Any):
        self._step, self._batches, self._told = step, batches, told
        self._trees = jax.tree.map(jnp.copy, trees)

    def __call__(self) -> Any:
        for batch in self._batches:
            *self._trees, measured = self._step(*self._trees, batch=batch, **self._told)
        return measured

    def compiled(self) -> tuple[jax.stages.Compiled, float]:
        """The program for the first batch, and the seconds that making it takes."""
        start = time.perf_counter()
        lowered = self._step.lower(*self._trees, batch=self._batches[0], **self._told)
        return lowered.compile(), time.perf_counter() - start


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
