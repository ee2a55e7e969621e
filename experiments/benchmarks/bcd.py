"""How much faster than a MeZO step is one that perturbs and updates one block?

    python -m experiments.benchmarks.bcd               about 6 minutes on 2 cores

For a decoder of 24 layers and a batch of 64 tokens, where a step of MeZO is mostly noise, it times,
interleaved in one run, the steps of MeZO and MeZO-BCD (updates of donated params included) and two
plain forwards. Before that every block is active once: the first turns in a process take about a
tenth longer. It also counts, as the programs run, the random words that they draw in the first step
(of MeZO-BCD the block of one layer, as in most steps). Words are those of the generator, 32 bits
each: one for a gaussian, one for 32 packed signs; those of keys and of the order of blocks are left
out.
The bound is MeZO beside the least that MeZO-BCD must do, measured in the same run: one forward of
the layers before the block, one of both points from there on, and the noise of one block.
Expected: MeZO / MeZO-BCD at least 2.77, the figure of arXiv:2501.19099 (v2), for gaussian
directions.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import tyro

import zojax
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._bounds import Bounds
from experiments.benchmarks._forms import Form, Size, forms
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import compiled, lazy_step, random_tokens, repeated, running
from experiments.benchmarks._words import Tally
from zojax.training import median_seconds, peak_bytes


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of MeZO-BCD."""

    size: Size = dataclasses.field(default_factory=lambda: Size(batch=1, length=64))
    forms: tuple[str, ...] = ("scanned OPT", "plain list")
    laws: tuple[str, ...] = ("gaussian", "packed signs")
    repetitions: int = 52  # twice as many as there are blocks: nearly each is active twice


METHODS = {"MeZO": zojax.mezo, "MeZO-BCD": zojax.mezo_bcd}
COLUMNS = (
    "form",
    "law",
    "MeZO ms",
    "MeZO-BCD ms",
    "MeZO / MeZO-BCD",
    "bound",
    "two forwards ms",
    "words MeZO",
    "words MeZO-BCD",
    "peak MeZO-BCD / weights",
    "compile s",
)


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/bcd.jsonl and returns its rows."""
    report = Report("bcd", COLUMNS, settings)
    bounds = Bounds(settings.size)
    for form in forms(settings.size):
        if form.name in settings.forms:
            for law in settings.laws:
                _measure(form, law, settings, bounds, report)
    return report.finish()


def _measure(form: Form, law: str, settings: Settings, bounds: Bounds, report: Report) -> None:
    tokens = random_tokens(form, settings.size)
    forward, _ = compiled(form.loss, form.params, tokens)
    twice = jnp.concatenate([tokens, tokens])
    pair, _ = compiled(form.loss, form.params, twice)
    steps, words, seconds, peak = {}, {}, 0.0, 0.0
    for name, method in METHODS.items():
        tx, step = lazy_step(form.loss, law, method)
        state = tx.init(form.params)
        program, took = compiled(step, form.params, state, tokens, donate=(0, 1))
        weights = sum(leaf.nbytes for leaf in jax.tree.leaves(form.params))
        peak = peak_bytes(program) / weights
        seconds += took
        steps[name] = running(program, form.params, state, batch=tokens)
        words[name] = _words(method, form, law, tokens)

    plain = {
        "one": repeated(forward, form.params, tokens, count=1),
        "both": repeated(forward, form.params, tokens, count=2),
        "pair": repeated(pair, form.params, twice, count=1),
    }
    blocks = settings.size.layers + 2  # the embedding, and the last norm
    for _ in range(blocks):
        jax.block_until_ready(steps["MeZO-BCD"]())
    times = median_seconds({**steps, **plain}, repetitions=settings.repetitions)
    milliseconds = {name: 1e3 * value for name, value in times.items()}
    # The blocks take turns, so that the one that is active is half way up on average.
    forwards = (times["one"] + min(times["both"], times["pair"])) / 2
    least = forwards + bounds.seconds(law, form.params) / blocks
    report.row(
        form.name,
        law,
        milliseconds["MeZO"],
        milliseconds["MeZO-BCD"],
        times["MeZO"] / times["MeZO-BCD"],
        times["MeZO"] / least,
        milliseconds["both"],
        words["MeZO"],
        words["MeZO-BCD"],
        peak,
        seconds,
    )


def _words(method: Callable, form: Form, law: str, tokens: jax.Array) -> int:
    """Random words that the first step draws, counted by a program of its own."""
    tally = Tally()
    tx, step = lazy_step(form.loss, law, method, tally.counting)
    jax.block_until_ready(jax.jit(step)(form.params, tx.init(form.params), tokens))
    return tally.words


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
