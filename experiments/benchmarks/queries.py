"""How near to the throughput of plain forwards do many queries in one step come?

    python -m experiments.benchmarks.queries           about 6 minutes on 2 cores

For the scanned decoder and factored directions of rank 1 this times, interleaved, steps of MeZO
with 1 ... 64 queries (two loss evaluations each), evaluated `chunk_size` side by side, and as many
plain forwards of the same batch, one after another. throughput = plain / step; the aim is 0.9 at 32
queries. "auto" marks the chunk size that `zojax.training.choose_chunk_size` takes in the budget.
Peak memory is that of the compiled step over that of inference on the doubled batch.

The more queries, the fewer repetitions: each program evaluates about `evaluations` losses, or makes
one step. A step of more than `many` queries has a quarter of the batch.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import optax
import tyro

import zojax
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._forms import Form, Size, scanned
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import (
    LAWS,
    LEARNING_RATE,
    RADIUS,
    compiled,
    doubled,
    random_tokens,
    repeated,
    running,
    step_of,
)
from zojax.training import choose_chunk_size, median_seconds, peak_bytes


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of queries."""

    size: Size = dataclasses.field(default_factory=Size)
    queries: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    chunks: tuple[int, ...] = (1, 4, 16)
    """Queries that are evaluated side by side, beside the number that is chosen automatically."""
    budget_mib: float | None = None
    """For that choice; None: see `zojax.training.choose_chunk_size`."""
    evaluations: int = 12
    """Losses that a program evaluates at least; rounded to whole steps."""
    many: int = 32
    """Queries of a step above which it has a quarter of the batch."""


COLUMNS = (
    "queries",
    "batch",
    "chunk size",
    "chosen",
    "step ms",
    "plain ms",
    "throughput",
    "peak / inference",
)


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/queries.jsonl and returns its rows."""
    report = Report("queries", COLUMNS, settings)
    for queries in settings.queries:
        size = settings.size
        if queries > settings.many:
            size = dataclasses.replace(size, batch=max(1, size.batch // 4))
        for row in _measure(queries, size, settings):
            report.row(queries, size.batch, *row)
    return report.finish()


def _measure(queries: int, size: Size, settings: Settings) -> list[tuple]:
    """A row for each chunk size: it, whether it was chosen, times, throughput and peak."""
    form = scanned(size)
    batch = random_tokens(form, size)
    forward, _ = compiled(form.loss, form.params, batch)
    inference, _ = compiled(form.loss, form.params, doubled(form.batch))
    programs: dict[int, tuple] = {}

    def program_for(chunk: int) -> Any:
        if chunk not in programs:
            programs[chunk] = _program(form, batch, queries, chunk)
        return programs[chunk][0]

    budget = None if settings.budget_mib is None else int(settings.budget_mib * 2**20)
    chosen = choose_chunk_size(program_for, queries, budget).chunk_size
    timed = {"plain": repeated(forward, form.params, batch, count=2 * queries)}
    for chunk in sorted({chosen, *(chunk for chunk in settings.chunks if chunk <= queries)}):
        program = program_for(chunk)
        timed[chunk] = running(program, form.params, programs[chunk][1], batch=batch)
    seconds = _seconds(timed, repetitions=max(1, settings.evaluations // (2 * queries)))
    plain = seconds.pop("plain")
    return [
        (
            chunk,
            "auto" if chunk == chosen else None,
            1e3 * step,
            1e3 * plain,
            plain / step,
            peak_bytes(programs[chunk][0]) / peak_bytes(inference),
        )
        for chunk, step in seconds.items()
    ]


def _program(form: Form, batch: jax.Array, queries: int, chunk: int) -> tuple[Any, Any]:
    """A step of MeZO from its parts, compiled, and the state that it starts from."""
    sampler, generator = LAWS["factored rank 1"]
    key = jax.random.key(0, impl=generator)
    estimator = zojax.central(RADIUS, queries)
    tx = optax.chain(
        zojax.estimate_gradient(key, sampler(), estimator, chunk_size=chunk),
        optax.scale_by_learning_rate(LEARNING_RATE),
    )
    state = tx.init(form.params)
    program, _ = compiled(step_of(tx, form.loss), form.params, state, batch, donate=(0, 1))
    return program, state


def _seconds(timed: dict[Any, Callable[[], Any]], *, repetitions: int) -> dict[Any, float]:
    """Medians; a single round of many evaluations goes without another one to warm up."""
    if repetitions > 1:
        return median_seconds(timed, repetitions=repetitions)
    seconds = {}
    for name, function in timed.items():
        start = time.perf_counter()
        jax.block_until_ready(function())
        seconds[name] = time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
