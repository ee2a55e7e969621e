"""How much longer than its two forwards does a MeZO step take?

    python -m experiments.benchmarks.speed             about 8 minutes on 2 cores

For a decoder in three forms it times, interleaved in one run, two plain forwards of the jitted loss
and the whole lazy step (the update of the donated params included) under several laws, and prints
the median of the ratios and their spread. Beside it the bound: what the noise costs in the smallest
programs that draw it, read it and apply it (`_bounds.py`).
Expected: factored at most 1.08, packed signs 1.15, gaussian 1.5.
"""

import dataclasses
from typing import Any

import jax
import tyro

from experiments._vectors import use_wide_vectors
from experiments.benchmarks._bounds import Bounds
from experiments.benchmarks._forms import Form, Size, forms
from experiments.benchmarks._ratios import ratio
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import (
    LAWS,
    compiled,
    lazy_step,
    naive_step,
    random_tokens,
    repeated,
    running,
)

COLUMNS = (
    "form",
    "program",
    "step ms",
    "two forwards ms",
    "step / two forwards",
    "spread",
    "bound",
    "compile s",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the speed benchmark."""

    size: Size = dataclasses.field(default_factory=Size)
    repetitions: int = 7


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/speed.jsonl and returns its rows."""
    report = Report("speed", COLUMNS, settings)
    bounds = Bounds(settings.size)
    for form in forms(settings.size):
        _measure(form, settings, bounds, report)
    return report.finish()


def _measure(form: Form, settings: Settings, bounds: Bounds, report: Report) -> None:
    tokens = random_tokens(form, settings.size)
    forward, seconds = compiled(form.loss, form.params, tokens)
    report.row(form.name, "one forward", *[None] * 5, seconds)
    both = repeated(forward, form.params, tokens, count=2)
    for law in (*LAWS, "naive"):
        if law == "naive":
            state, step = jax.random.key(0), naive_step(form.loss)
        else:
            tx, step = lazy_step(form.loss, law)
            state = tx.init(form.params)
        program, seconds = compiled(step, form.params, state, tokens, donate=(0, 1))
        run = running(program, form.params, state, batch=tokens)
        timed = ratio(run, both, repetitions=settings.repetitions)
        bound = bounds.least(law, form.params, timed.plain) if law in LAWS else None
        milliseconds = (1e3 * timed.step, 1e3 * timed.plain)
        report.row(form.name, law, *milliseconds, timed.median, timed.spread, bound, seconds)


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
