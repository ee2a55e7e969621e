"""How near to the throughput of plain forwards do many queries in one step come?

    python -m experiments.benchmarks.queries           about 6 minutes on 2 cores

For the scanned decoder and factored directions of rank 1 this times, interleaved, a step of MeZO
with 1 ... 32 queries (two loss evaluations each), evaluated `chunk_size` side by side, and as many
plain forwards of the same batch, one after another. throughput = plain / step.
"""

import dataclasses
from typing import Any

import jax
import optax
import tyro

import zojax
from experiments.benchmarks._forms import Size, scanned
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import (
    LEARNING_RATE,
    RADIUS,
    compiled,
    random_tokens,
    repeated,
    running,
    step_of,
)
from zojax.training import median_seconds, peak_bytes


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of queries."""

    size: Size = dataclasses.field(default_factory=Size)
    queries: tuple[int, ...] = (1, 4, 32)
    chunks: tuple[int, ...] = (1, 4)
    """Queries that are evaluated side by side."""
    repetitions: int = 3


COLUMNS = ("queries", "chunk size", "step ms", "plain ms", "throughput", "peak / inference")


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/queries.jsonl and returns its rows."""
    report = Report("queries", COLUMNS, settings)
    form = scanned(settings.size)
    batch = random_tokens(form, settings.size)
    forward, _ = compiled(form.loss, form.params, batch)
    key = jax.random.key(0, impl="threefry4x32")
    for queries in settings.queries:
        for chunk in (chunk for chunk in settings.chunks if chunk <= queries):
            tx = _descent(key, queries, chunk)
            step, state = step_of(tx, form.loss), tx.init(form.params)
            program, _ = compiled(step, form.params, state, batch, donate=(0, 1))
            timed = {
                "step": running(program, form.params, state, batch=batch),
                "plain": repeated(forward, form.params, batch, count=2 * queries),
            }
            times = median_seconds(timed, repetitions=settings.repetitions)
            peak = peak_bytes(program) / peak_bytes(forward)
            milliseconds = (1e3 * times["step"], 1e3 * times["plain"])
            report.row(queries, chunk, *milliseconds, times["plain"] / times["step"], peak)
    return report.finish()


def _descent(key: jax.Array, queries: int, chunk: int) -> optax.GradientTransformation:
    """MeZO from its parts."""
    estimator = zojax.central(RADIUS, queries)
    return optax.chain(
        zojax.estimate_gradient(key, zojax.factored(1), estimator, chunk_size=chunk),
        optax.scale_by_learning_rate(LEARNING_RATE),
    )


if __name__ == "__main__":
    main(tyro.cli(Settings))
