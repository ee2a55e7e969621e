"""How much longer than its two forwards does a MeZO step take?

    python -m experiments.benchmarks.speed             about 8 minutes on 2 cores

For a decoder in three forms it times, interleaved in one run, two plain forwards of the jitted loss
and the whole lazy step (the update of the donated params included) under several laws, and prints
the ratio of the medians. Expected: factored at most 1.20, packed signs 1.35, gaussian
(threefry4x32) 1.9.
"""

import dataclasses
from typing import Any

import jax
import tyro

from experiments.benchmarks._forms import Form, Size, forms
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
from zojax.training import median_seconds


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the speed benchmark."""

    size: Size = dataclasses.field(default_factory=Size)
    repetitions: int = 5


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/speed.jsonl and returns its rows."""
    columns = ("form", "program", "step ms", "two forwards ms", "step / two forwards", "compile s")
    report = Report("speed", columns, settings)
    for form in forms(settings.size):
        _measure(form, settings, report)
    return report.finish()


def _measure(form: Form, settings: Settings, report: Report) -> None:
    tokens = random_tokens(form, settings.size)
    forward, seconds = compiled(form.loss, form.params, tokens)
    report.row(form.name, "one forward", None, None, None, seconds)
    for law in (*LAWS, "naive"):
        if law == "naive":
            state, step = jax.random.key(0), naive_step(form.loss)
        else:
            tx, step = lazy_step(form.loss, law)
            state = tx.init(form.params)
        program, seconds = compiled(step, form.params, state, tokens, donate=(0, 1))
        run = running(program, form.params, state, batch=tokens)
        both = repeated(forward, form.params, tokens, count=2)
        times = median_seconds({"step": run, "both": both}, repetitions=settings.repetitions)
        ratio = times["step"] / times["both"]
        report.row(form.name, law, 1e3 * times["step"], 1e3 * times["both"], ratio, seconds)


if __name__ == "__main__":
    main(tyro.cli(Settings))
