"""How much more memory than inference does a MeZO step take?

    python -m experiments.benchmarks.memory            about 5 minutes on 2 cores

For a decoder in three forms it compiles inference on the doubled batch, the whole lazy step (the
update of the donated params included) under several laws, and the step that everybody writes. It
prints peak = weights + temporaries of each, from `compiled.memory_analysis()`, and the seconds that
tracing and compiling took.
Expected: lazy / inference at most 1.05 for factored and 1.10 for dense laws; naive about 3.8.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import tyro

from experiments.benchmarks._forms import Form, Size, forms
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import LAWS, compiled, doubled, lazy_step, naive_step


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the memory benchmark."""

    size: Size = dataclasses.field(default_factory=Size)


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, appends it to results/memory.jsonl and returns its rows."""
    columns = ("form", "program", "temporaries / weights", "peak / inference", "compile s")
    report = Report("memory", columns, settings)
    for form in forms(settings.size):
        _measure(form, settings.size, report)
    return report.finish()


def _measure(form: Form, size: Size, report: Report) -> None:
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), form.params)
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(form.params))
    tokens = jnp.zeros((size.batch, size.length), jnp.int32)

    def row(program: str, executable: Any, seconds: float, inference: float | None) -> float:
        temporaries = executable.memory_analysis().temp_size_in_bytes / weights
        peak = 1 + temporaries
        report.row(form.name, program, temporaries, peak / (inference or peak), seconds)
        return peak

    inference = row("inference, doubled batch", *compiled(form.loss, shapes, doubled(tokens)), None)
    for law in LAWS:
        tx, step = lazy_step(form.loss, law)
        state = tx.init(form.params)
        row(law, *compiled(step, shapes, state, tokens, donate=(0, 1)), inference)
    key = jax.random.key(0)
    row("naive", *compiled(naive_step(form.loss), shapes, key, tokens, donate=(0,)), inference)


if __name__ == "__main__":
    main(tyro.cli(Settings))
