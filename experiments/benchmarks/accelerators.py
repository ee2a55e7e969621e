"""What do the compilers of TPUs and of an H100 make of a step, on a machine that has neither?

    python -m experiments.benchmarks.accelerators              24 layers of width 512
    python -m experiments.benchmarks.accelerators --sizes 1.3B --forms "scanned OPT" --machines H100

Compiles inference on the doubled batch, the whole step of MeZO under several laws and the naive
step, params and state donated, for a TPU v5e, a TPU v6e and an H100. It needs the compilers, which
run anywhere: `pip install 'zojax[tpu-compiler]'` and `'zojax[cuda-compiler]'`; a machine without
its compiler is left out with a word. Nothing is run, so no time of a step is in the table.

Peak is arguments + results + temporaries, as `zojax.training.peak_bytes` counts them, over that of
inference. Bytes are what a program for a TPU reads from memory and writes to it (see `_bytes`),
over that of two forwards of the batch. "Least compile s" is how long the parts that no step can do
without take to compile: one forward, and twice the smallest program that draws a law's noise for
every leaf and adds it to the weights, as a step has noise in its evaluation and in its update.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from jax.sharding import SingleDeviceSharding

from experiments.benchmarks._bytes import bytes_accessed
from experiments.benchmarks._compilers import MACHINES, compiled_for, use_compilers
from experiments.benchmarks._families import tied_qwen3
from experiments.benchmarks._forms import Form, Size, abstract, nnx_list, plain_list, scanned
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import LAWS, doubled, lazy_step, naive_step, noise_alone
from zojax.training import peak_bytes

SIZES = {
    "24 x 512": Size(),
    "1.3B": Size(layers=24, width=2048, heads=32, vocabulary=50272, batch=8, length=512),
}
FORMS: dict[str, Callable[[Size], Form]] = {
    "plain list": plain_list,
    "NNX list": nnx_list,
    "scanned OPT": scanned,
    "scanned Qwen3, tied": tied_qwen3,
}
DTYPES = ("bfloat16", "float32")
COLUMNS = (
    "machine",
    "size",
    "form",
    "dtype",
    "program",
    "peak MB",
    "peak / inference",
    "bytes / two forwards",
    "code MB",
    "compile s",
    "least compile s",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of accelerators' compilers; each takes several words."""

    machines: tuple[str, ...] = tuple(machine.name for machine in MACHINES)
    sizes: tuple[str, ...] = ("24 x 512",)
    forms: tuple[str, ...] = tuple(FORMS)
    laws: tuple[str, ...] = ("packed signs", "gaussian", "factored rank 1", "factored rank 4")
    dtypes: tuple[str, ...] = ("bfloat16",)


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, adds it to results/accelerators.jsonl and returns its rows.

    Raises:
      ValueError: for a name that is unknown.
    """
    _check(settings)
    report = Report("accelerators", COLUMNS, settings, names=COLUMNS.index("program") + 1)
    for machine in MACHINES:
        if machine.name not in settings.machines:
            continue
        if machine.missing:
            print(f"{machine.name} is left out: its compiler is not here; {machine.missing}")
            continue
        there = SingleDeviceSharding(machine.devices()[0])
        for size, name, dtype in product(settings.sizes, settings.forms, settings.dtypes):
            form = abstract(FORMS[name], SIZES[size], jnp.dtype(dtype))
            row = partial(report.row, machine.name, size, name, dtype)
            _measure(
                form,
                settings.laws,
                partial(compiled_for, there),
                row,
                count=machine.topology is not None,
            )
    return report.rows


def _check(settings: Settings) -> None:
    machines = [machine.name for machine in MACHINES]
    known = {"machines": machines, "sizes": SIZES, "forms": FORMS, "laws": LAWS, "dtypes": DTYPES}
    for setting, names in known.items():
        for name in getattr(settings, setting):
            if name not in names:
                raise ValueError(f"{setting}: {name!r} is unknown; choose from {', '.join(names)}")


def _measure(
    form: Form, laws: tuple[str, ...], compiled: Callable, row: Callable, *, count: bool
) -> None:
    """Rows of a form: inference first, to which the others are compared."""
    forward, of_forward = compiled(form.loss, form.params, form.batch)
    inference, seconds = compiled(form.loss, form.params, doubled(form.batch))

    def of(program: str, executable: Any, seconds: float, least: float | None = None) -> None:
        peak = peak_bytes(executable)
        moved = count and bytes_accessed(executable) / (2 * bytes_accessed(forward))
        code = executable.memory_analysis().generated_code_size_in_bytes / 1e6
        ratios = (peak / peak_bytes(inference), moved or None)
        row(program, round(peak / 1e6), *ratios, code, seconds, least)

    of("inference, doubled batch", inference, seconds)
    key = jax.eval_shape(lambda: jax.random.key(0))
    for law in laws:
        tx, step = lazy_step(form.loss, law)
        state = jax.eval_shape(tx.init, form.params)
        _, of_noise = compiled(noise_alone(law), form.params, key, donate=(0,))
        least = of_forward + 2 * of_noise
        of(law, *compiled(step, form.params, state, form.batch, donate=(0, 1)), least)
    of("naive", *compiled(naive_step(form.loss), form.params, key, form.batch, donate=(0,)))


if __name__ == "__main__":
    use_compilers()
    main(tyro.cli(Settings))
