"""How much more memory than inference does a MeZO step take?

    python -m experiments.benchmarks.memory                 about 5 minutes on 2 cores
    python -m experiments.benchmarks.memory --family all    the families of zojax.models

For a decoder in three forms, or a model of each family, it compiles inference on the doubled batch,
the whole lazy step (the update of the donated params included) under several laws, and the naive
step. It prints peak = weights + temporaries of each, from
`compiled.memory_analysis()`, and the seconds that tracing and compiling took. Nothing is run.
Expected: lazy / inference at most 1.05 for factored and 1.10 for dense laws; naive about 3.8.
"""

import dataclasses
from typing import Any

import jax
import tyro

from experiments._vectors import use_wide_vectors
from experiments.benchmarks._families import families
from experiments.benchmarks._forms import Form, Size, forms
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import LAWS, compiled, doubled, lazy_step, naive_step


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the memory benchmark."""

    size: Size = dataclasses.field(default_factory=Size)
    family: str | None = None
    """model_type of a family, or all; None: the three forms of one decoder."""


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/, and returns its rows."""
    columns = ("form", "program", "temporaries / weights", "peak / inference", "compile s")
    if settings.family is None:
        report, measured = Report("memory", columns, settings), forms(settings.size)
    else:
        measured = families(settings.size, settings.family)
        report = Report("memory_families", columns, settings, names=2)
    for form in measured:
        _measure(form, report)
    return report.finish()


def _measure(form: Form, report: Report) -> None:
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), form.params)
    weights = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    batch = form.batch

    def row(program: str, executable: Any, seconds: float, inference: float | None) -> float:
        temporaries = executable.memory_analysis().temp_size_in_bytes / weights
        peak = 1 + temporaries
        report.row(form.name, program, temporaries, peak / (inference or peak), seconds)
        return peak

    inference = row("inference, doubled batch", *compiled(form.loss, shapes, doubled(batch)), None)
    for law in LAWS:
        tx, step = lazy_step(form.loss, law)
        state = jax.eval_shape(tx.init, shapes)
        row(law, *compiled(step, shapes, state, batch, donate=(0, 1)), inference)
    key = jax.random.key(0)
    row("naive", *compiled(naive_step(form.loss), shapes, key, batch, donate=(0,)), inference)


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
