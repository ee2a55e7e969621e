"""Where does the time of a step go?

    python -m experiments.benchmarks.profile           about 1 minute on 2 cores

Runs a step of MeZO on the scanned decoder under `jax.profiler` and prints, for the costliest kinds
of operations of the compiled program, their milliseconds a step. On a CPU operations that do not
depend on each other run side by side, so the sum is more than the step. With `--keep` the trace
stays, for Perfetto or TensorBoard.
"""

import collections
import contextlib
import dataclasses
import pathlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import tyro

from experiments._vectors import use_wide_vectors
from experiments.benchmarks._forms import Size, scanned
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import compiled, lazy_step, random_tokens, running


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the profile."""

    size: Size = dataclasses.field(default_factory=Size)
    law: str = "gaussian"
    """A law of `speed`."""
    steps: int = 3
    operations: int = 12
    """How many kinds are shown."""
    keep: pathlib.Path | None = None
    """A folder for the trace."""


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/profile.jsonl and returns its rows."""
    report = Report("profile", ("operations", "in a step", "ms a step", "share"), settings)
    form = scanned(settings.size)
    batch = random_tokens(form, settings.size)
    tx, step = lazy_step(form.loss, settings.law)
    program, _ = compiled(step, form.params, tx.init(form.params), batch, donate=(0, 1))
    run = running(program, form.params, tx.init(form.params), batch=batch)
    jax.block_until_ready(run())
    start = time.perf_counter()
    jax.block_until_ready(run())
    whole = 1e3 * (time.perf_counter() - start)
    report.row("the step", None, whole, 1.0)
    kinds = _kinds(program.as_text())
    times, counts = collections.Counter(), collections.Counter()
    for name, milliseconds in _trace(run, settings):
        times[kinds.get(name, "other")] += milliseconds / settings.steps
        counts[kinds.get(name, "other")] += 1
    for kind, milliseconds in times.most_common(settings.operations):
        report.row(kind, counts[kind] // settings.steps, milliseconds, milliseconds / whole)
    return report.finish()


def _trace(run: Callable[[], Any], settings: Settings) -> Iterator[tuple[str, float]]:
    """The name and the milliseconds of every operation that ran."""
    with contextlib.ExitStack() as stack:
        folder = settings.keep or stack.enter_context(tempfile.TemporaryDirectory())
        with jax.profiler.trace(str(folder)):
            for _ in range(settings.steps):
                jax.block_until_ready(run())
        newest = max(
            pathlib.Path(folder).rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime
        )
        planes = jax.profiler.ProfileData.from_file(str(newest)).planes
        for event in (event for plane in planes for line in plane.lines for event in line.events):
            name = dict(event.stats).get("hlo_op")
            # A loop or a branch lasts as long as what is in it.
            if name and not name.startswith(("while", "cond", "call")):
                yield name, event.duration_ns / 1e6


def _kinds(program: str) -> dict[str, str]:
    """What each operation is: its result and the line of the traced program that it ends with."""
    found = re.finditer(r"%([\w.\-]+) = (\S+?)(?:\{\S*)? \S+\(.*?op_name=\"([^\"]*)\"", program)
    return {match[1]: f"{match[3].rsplit('/', 1)[-1]} {match[2]}" for match in found}


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
