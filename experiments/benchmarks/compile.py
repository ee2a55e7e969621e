"""How long does a step take to compile, and does that grow with the layers?

    python -m experiments.benchmarks.compile           about 8 minutes on 2 cores

For the decoder as a list of 24 layers, and scanned with 24 and 96, this traces and compiles a step
of MeZO under several laws, one form after another, several times over, and prints the median. It
also counts the equations of the traced program, which is what the time follows on a machine that
does nothing else.
"""

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any

import jax
import jax.extend
import tyro

from experiments._vectors import use_wide_vectors
from experiments.benchmarks._forms import Form, Size, plain_list, scanned
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import LAWS, compiled, lazy_step


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of compilation."""

    size: Size = dataclasses.field(default_factory=Size)
    deeper: int = 4
    """How many times as many layers the second scanned form has."""
    repetitions: int = 5


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/compile.jsonl and returns its rows."""
    report = Report("compile", ("form", "layers", "law", "equations", "compile s"), settings)
    size = settings.size
    deep = dataclasses.replace(size, layers=settings.deeper * size.layers)
    forms = [(make(of), of) for make, of in ((plain_list, size), (scanned, size), (scanned, deep))]
    for law in LAWS:
        rounds = [[_measure(form, law) for form, _ in forms] for _ in range(settings.repetitions)]
        for (form, of), times in zip(forms, zip(*rounds, strict=True), strict=True):
            report.row(form.name, of.layers, law, _size(form, law), statistics.median(times))
    return report.finish()


def _measure(form: Form, law: str) -> float:
    step, args = _step(form, law)
    return compiled(step, *args, donate=(0, 1))[1]


def _size(form: Form, law: str) -> int:
    step, args = _step(form, law)
    return equations(jax.make_jaxpr(step)(*args))


def _step(form: Form, law: str) -> tuple[Callable, tuple]:
    """A new step, which nothing has traced, and the shapes that it takes."""
    tx, step = lazy_step(form.loss, law)
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), form.params)
    return step, (shapes, jax.eval_shape(tx.init, shapes), form.batch)


def equations(program: Any) -> int:
    """How many equations a traced program has, those of inner programs included once each."""
    seen: set[int] = set()

    def count(jaxpr: Any) -> int:
        if id(jaxpr) in seen:
            return 0
        seen.add(id(jaxpr))
        inner = (jax.extend.core.jaxprs_in_params(eqn.params) for eqn in jaxpr.eqns)
        return len(jaxpr.eqns) + sum(count(one) for several in inner for one in several)

    return count(program.jaxpr)


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
