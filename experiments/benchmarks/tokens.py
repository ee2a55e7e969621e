"""How does the cost of a step beside its two forwards fall with the tokens of a batch?

    python -m experiments.benchmarks.tokens            about 6 minutes on 2 cores

Noise is drawn once for each weight, whatever the batch: the more tokens meet a weight, the less it
weighs. For the scanned decoder this times, interleaved, a step of MeZO under several laws and two
plain forwards at 64, 512 and 2048 tokens a point.
"""

import dataclasses
from typing import Any

import tyro

from experiments._vectors import use_wide_vectors
from experiments.benchmarks._bounds import Bounds
from experiments.benchmarks._forms import Size, scanned
from experiments.benchmarks._ratios import ratio
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import (
    LAWS,
    compiled,
    lazy_step,
    random_tokens,
    repeated,
    running,
)

COLUMNS = (
    "tokens",
    "law",
    "step ms",
    "two forwards ms",
    "step / two forwards",
    "spread",
    "bound",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of tokens."""

    size: Size = dataclasses.field(default_factory=Size)
    tokens: tuple[int, ...] = (64, 512, 2048)
    """Of a batch; its rows are as long as `size` says, and as many as it takes."""
    repetitions: int = 5


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/tokens.jsonl and returns its rows."""
    report, bounds = Report("tokens", COLUMNS, settings), Bounds(settings.size)
    for tokens in settings.tokens:
        size = dataclasses.replace(settings.size, batch=max(1, tokens // settings.size.length))
        form = scanned(size)
        batch = random_tokens(form, size)
        forward, _ = compiled(form.loss, form.params, batch)
        for law in LAWS:
            tx, step = lazy_step(form.loss, law)
            state = tx.init(form.params)
            program, _ = compiled(step, form.params, state, batch, donate=(0, 1))
            run = running(program, form.params, state, batch=batch)
            both = repeated(forward, form.params, batch, count=2)
            timed = ratio(run, both, repetitions=settings.repetitions)
            bound = bounds.least(law, form.params, timed.plain)
            milliseconds = (1e3 * timed.step, 1e3 * timed.plain)
            report.row(batch.size, law, *milliseconds, timed.median, timed.spread, bound)
    return report.finish()


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
