"""What does an accelerator itself say of a step: its time, its peak, and what its noise costs?

    python -m experiments.benchmarks.device             about 10 minutes on one accelerator

`accelerators` asks compilers and `roofline` calculates; this measures the same on the device that
jax finds: a whole step of MeZO under several laws and the naive step over two plain forwards, timed
interleaved; the peak of memory as the device counts it (`memory_stats`; a CPU does not), over that
of inference on the doubled batch; and the time of x + r z for one number, above x + r. Every
program runs in a process of its own, because a peak is that of the whole process.
"""

import dataclasses
import json
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import tyro

import zojax
from experiments.benchmarks._forms import Form, abstract
from experiments.benchmarks._ratios import ratio
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import (
    LAWS,
    RADIUS,
    compiled,
    lazy_step,
    naive_step,
    random_tokens,
    repeated,
    running,
)
from experiments.benchmarks.accelerators import FORMS, SIZES
from zojax.training import median_seconds

INFERENCE, NAIVE = "inference, doubled batch", "naive"
COLUMNS = (
    "device",
    "form",
    "size",
    "dtype",
    "program",
    "step ms",
    "two forwards ms",
    "step / two forwards",
    "spread",
    "peak MB",
    "peak / inference",
    "noise ns a number",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the measurement."""

    form: str = "scanned OPT"
    size: str = "1.3B"
    dtype: str = "bfloat16"
    laws: tuple[str, ...] = ("packed signs", "gaussian", "factored rank 1", "factored rank 4")
    repetitions: int = 7
    only: str | None = None
    """Measure this program here, and print a line of JSON: what the others are started with."""


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, adds it to results/device.jsonl and returns its rows."""
    report = Report("device", COLUMNS, settings, names=COLUMNS.index("program") + 1)
    inference = None
    for program in (INFERENCE, *settings.laws, NAIVE):
        found = _elsewhere(dataclasses.replace(settings, only=program))
        if found is None:
            print(f"{program} did not run to its end", flush=True)
            continue
        peak = found.pop("peak")
        inference = peak if program == INFERENCE else inference
        over = peak / inference if peak and inference else None
        names = (report.run["device"], settings.form, settings.size, settings.dtype, program)
        times = (found.get(name) for name in ("step", "forwards", "ratio", "spread"))
        report.row(*names, *times, peak and round(peak / 1e6), over, found.get("noise"))
    return report.rows


def _elsewhere(settings: Settings) -> dict[str, Any] | None:
    """What a process of its own measures; None if it fails, as where the memory is too little."""
    words = [
        word
        for field in dataclasses.fields(settings)
        for word in (f"--{field.name}", *_words(getattr(settings, field.name)))
    ]
    command = [sys.executable, "-m", "experiments.benchmarks.device", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def _words(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (str(value),)


def measure(form: Form, batch: Any, program: str, repetitions: int) -> dict[str, Any]:
    """Milliseconds of a step and of two forwards, their ratio, and bytes of the peak.

    Args:
      form: a model with its params.
      batch: of the size that a step is given.
      program: a name of `LAWS`, or one of the two above.
      repetitions: rounds that are timed.
    """
    if program == INFERENCE:
        twice = jax.tree.map(lambda rows: jnp.concatenate([rows, rows]), batch)
        jax.block_until_ready(compiled(form.loss, form.params, twice)[0](form.params, twice))
        return {"peak": _peak()}
    if program == NAIVE:
        state, step = jax.random.key(0), naive_step(form.loss)
    else:
        tx, step = lazy_step(form.loss, program)
        state = tx.init(form.params)
    held = [form.params, state]
    step, _ = compiled(step, *held, batch, donate=(0, 1))
    held = list(step(*held, batch))
    jax.block_until_ready(held)
    peak = _peak()  # before anything else is compiled or run
    forward, _ = compiled(form.loss, held[0], batch)
    both = repeated(forward, jax.tree.map(jnp.copy, held[0]), batch, count=2)
    timed = ratio(running(step, *held, batch=batch), both, repetitions=repetitions)
    times = {"step": 1e3 * timed.step, "forwards": 1e3 * timed.plain}
    noise = _noise(program) if program in LAWS else None
    return {**times, "ratio": timed.median, "spread": timed.spread, "peak": peak, "noise": noise}


def _peak() -> int | None:
    stats = jax.local_devices()[0].memory_stats()
    return stats and stats.get("peak_bytes_in_use")


def _noise(law: str, shape: tuple[int, int] = (4096, 4096)) -> float:
    """Nanoseconds of x + r z for an entry, above those of x + r, in place."""
    make, generator = LAWS[law]
    sampler, weights = make(), jnp.zeros(shape, jnp.bfloat16)
    key = jax.random.key(0, impl=generator)

    def moved(weights: jax.Array, c: jax.Array) -> jax.Array:
        directions, _ = sampler.draw(sampler.init(weights), key, jnp.int32(0), 1, weights)
        return weights + zojax.combine(c, directions, weights)

    def plain(weights: jax.Array, c: jax.Array) -> jax.Array:
        return (weights + c).astype(weights.dtype)

    c = jnp.full(1, RADIUS)
    runs = {}
    for name, fn in (("moved", moved), ("plain", plain)):
        program, _ = compiled(fn, weights, c, donate=(0,))
        step = running(lambda held, c, program=program: (program(held, c),), weights, batch=c)
        runs[name] = step
    seconds = median_seconds(runs, repetitions=20)
    return 1e9 * (seconds["moved"] - seconds["plain"]) / weights.size


def _main(settings: Settings) -> None:
    if settings.only is None:
        main(settings)
        return
    size = SIZES[settings.size]
    form = abstract(FORMS[settings.form], size, jnp.dtype(settings.dtype))
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), form.params)
    form = form._replace(params=params)
    found = measure(form, random_tokens(form, size), settings.only, settings.repetitions)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    _main(tyro.cli(Settings))
