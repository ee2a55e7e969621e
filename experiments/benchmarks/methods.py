"""What does a step of each method cost beside the plain forwards that it spends, and store?

    python -m experiments.benchmarks.methods           about 30 minutes on 2 cores

For the scanned decoder and every method, with its own laws and numbers of queries, this times,
interleaved, the whole step and as many plain forwards of the same batch, one after another, as the
second step evaluates losses (first ones may be of another kind). Peak memory is that of the
compiled step over that of inference on the doubled batch; state is what the method keeps from step
to step, over the weights that it trains: all, but the adapter for AR1-ZO. The bound is what the
smallest programs need that do what a method adds to its forwards (`_floors.py`); of those that draw
dense noise for single losses, what that takes (`_bounds.py`).
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import optax
import tyro

import zojax
from experiments._combinations import grzo_agzo
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._bounds import Bounds
from experiments.benchmarks._floors import Subspace
from experiments.benchmarks._forms import Form, Size, adapted, scanned
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import (
    LEARNING_RATE,
    compiled,
    doubled,
    random_tokens,
    repeated,
    running,
    step_of,
)
from zojax.training import median_seconds, peak_bytes


def _bases(rank: int) -> Callable[..., optax.GradientTransformation]:
    """The subspaces of SubZero: bases that are kept for 1000 steps, and a core drawn for each."""
    sampler = zojax.factored(
        rank, left="haar", core="gaussian", right="haar", left_period=1000, right_period=1000
    )
    return partial(zojax.mezo, sampler=sampler)


# (learning rate, key) -> transformation. Ranks are the methods' own; and smaller ones, which are to
# this model as those are to models of a width of 2048, where they were chosen.
METHODS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "mezo": zojax.mezo,
    "mezo, packed signs": partial(zojax.mezo, sampler=zojax.rademacher()),
    "mezo, factored rank 1": partial(zojax.mezo, sampler=zojax.factored(1)),
    "mezo, bases of rank 48": _bases(48),
    "mezo, bases of rank 12": _bases(12),
    "mezo_adam": zojax.mezo_adam,
    "mezo_bcd": zojax.mezo_bcd,
    "agzo": zojax.agzo,
    "eggroll": zojax.eggroll,
    "fzoo": zojax.fzoo,
    "grzo": partial(zojax.grzo, num_queries=8),
    "grzo_agzo": partial(grzo_agzo, num_queries=8),
    "hizoo": zojax.hizoo,
    "hizoo, factored": partial(zojax.hizoo, factored=True),
    "lozo": zojax.lozo,
    "lozo, momentum": partial(zojax.lozo, momentum=0.9),
    "meazo": zojax.meazo,
    "spsa": zojax.spsa,
    "subzero": zojax.subzero,
    "tezo": zojax.tezo,
    "zo_mopi": partial(zojax.zo_mopi, learning_rate_1d=LEARNING_RATE),
    "zo_muon": partial(zojax.zo_muon, learning_rate_1d=LEARNING_RATE),
    "zo_muon, rank 16": partial(zojax.zo_muon, learning_rate_1d=LEARNING_RATE, rank=16),
    "loren": zojax.loren,
    "r_adazo": zojax.r_adazo,
    "zoar": zojax.zoar,
    "zoar, plain descent": partial(zojax.zoar, rule=optax.identity()),
    "conmezo": zojax.conmezo,
    "kerzoo": zojax.kerzoo,
    "mezo_gv": zojax.mezo_gv,
    "mezo_svrg": zojax.mezo_svrg,
    "sparse_mezo": zojax.sparse_mezo,
    "unbiased_zo": zojax.unbiased_zo,
    "zo_adamu": zojax.zo_adamu,
    "dizo": zojax.dizo,
    "zo_hgd": zojax.zo_hgd,
    "p_gap": zojax.p_gap,
    "zo_sgd": zojax.zo_sgd,
    "zo_sign_sgd": zojax.zo_sign_sgd,
    "zo_adamm": zojax.zo_adamm,
    "zo_rmsprop": zojax.zo_rmsprop,
    "ar1_zo": zojax.ar1_zo,
}
ADAPTERS_ALONE = ("ar1_zo",)
# What the methods of subspaces add to their forwards.
ADDED = {
    "mezo, bases of rank 48": Subspace(48, directions=1, perturbed=2),
    "mezo, bases of rank 12": Subspace(12, directions=1, perturbed=2),
    "agzo": Subspace(8, directions=1, perturbed=1, iterations=2),
    "grzo_agzo": Subspace(8, directions=1, perturbed=2, iterations=2),
    "tezo": Subspace(32, directions=1, perturbed=2, adaptive=True),
    "p_gap": Subspace(128, directions=1, perturbed=2),
    "zo_mopi": Subspace(64, directions=4, perturbed=4, lifted=32),
    "zo_muon": Subspace(64, directions=4, perturbed=4, orthogonalized=True),
    "zo_muon, rank 16": Subspace(16, directions=4, perturbed=4, orthogonalized=True),
}
# How often others draw all noise for losses, and of how many directions their update is the sum.
DRAWN = {
    "hizoo, factored": {"pairs": 1, "directions": 2},  # the curvature is known before the step
    "loren": {"pairs": 6, "directions": 6},
    "mezo_gv": {"pairs": 8, "directions": 4},
    "zoar, plain descent": {"pairs": 10, "directions": 60},
    "zo_sgd": {"pairs": 10, "directions": 10},
    "zo_sign_sgd": {"pairs": 10, "directions": 10},
}
COLUMNS = (
    "method",
    "evaluations",
    "step ms",
    "plain ms",
    "step / plain",
    "bound",
    "peak / inference",
    "state / weights",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of methods."""

    size: Size = dataclasses.field(default_factory=Size)
    methods: tuple[str, ...] = tuple(METHODS)
    repetitions: int = 5


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/methods.jsonl and returns its rows."""
    report = Report("methods", COLUMNS, settings, names=1)
    for make in (scanned, adapted):
        form = make(settings.size)
        inference, _ = compiled(form.loss, form.params, doubled(form.batch))
        for name in settings.methods:
            if (name in ADAPTERS_ALONE) == (make is adapted):
                report.row(name, *_measure(name, form, settings, peak_bytes(inference)))
    return report.finish()


def _measure(name: str, form: Form, settings: Settings, inference: int) -> tuple:
    batch = random_tokens(form, settings.size)
    forward, _ = compiled(form.loss, form.params, batch)
    tx = METHODS[name](LEARNING_RATE, jax.random.key(0))
    state = jax.jit(tx.init)(form.params)
    program, _ = compiled(step_of(tx, form.loss), form.params, state, batch, donate=(0, 1))
    step = running(program, form.params, state, batch=batch)
    # The first step of some methods is of another kind than those that follow.
    spent = [int(zojax.state_field(step()[1], "num_evaluations")) for _ in range(2)]
    evaluations = spent[1] - spent[0]
    timed = {
        "step": step,
        "plain": repeated(forward, form.params, batch, count=evaluations),
    }
    times = median_seconds(timed, repetitions=settings.repetitions)
    milliseconds = (1e3 * times["step"], 1e3 * times["plain"])
    bound = None
    if name in ADDED:
        bound = ADDED[name].least(settings.size, times["plain"])
    if name in DRAWN:
        bounds = Bounds(settings.size)
        bound = bounds.least("gaussian", form.params, times["plain"], **DRAWN[name])
    ratios = (times["step"] / times["plain"], bound)
    peaks = (peak_bytes(program) / inference, _bytes(state) / _bytes(form.params))
    return evaluations, *milliseconds, *ratios, *peaks


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree) if not _is_key(leaf))


def _is_key(leaf: jax.Array) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
