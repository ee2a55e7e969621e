"""Chains that follow from the parts and that no paper has, beside the nearest published methods.

Nothing is claimed of them. A chain would become a method of its own if its loss were below that of
the best published one here, by more than two standard errors at as many evaluations. All weights of
the digits ViT, at constant rates.
"""

import functools
from typing import Any

import jax
import optax

import zojax
from experiments.papers.arm import Arm, Experiment, mezo
from experiments.papers.digits import digits
from experiments.papers.names import BASELINE, WHOLE
from zojax.samplers import last_axis_rows, matrix_or_other

QUERIES, RANK, PERIOD, RADIUS = 4, 16, 100, 1e-3
RATE_1D = 1e-3
# Of its evaluations a guarded run spends some on the curvature, and the rest on its steps.
GUARDED = 14 / 15
# Blocks of the ViT: 0 is the classifier and the last norm, 1 the embeddings, then come its layers.
CLASSIFIER_EVERY_SECOND_STEP = (0, 1, 0, 2, 0, 3, 0, 4, 0, 5)


def _in_bases(
    rate: jax.Array, key: jax.Array, steps: int, *, inner: optax.GradientTransformation
) -> optax.GradientTransformation:
    """Leave-one-out along SubZero's bases; `inner` sees RANK² numbers a matrix."""
    del steps
    bases = zojax.factored(
        RANK, left="haar", core="gaussian", right="haar", left_period=PERIOD, right_period=PERIOD
    )
    estimator = zojax.leave_one_out(RADIUS, QUERIES)
    return optax.chain(
        zojax.estimate_gradient(key, bases, estimator, inner=inner, chunk_size=QUERIES),
        optax.scale_by_learning_rate(rate),
    )


def _orthogonal_signs(rate: jax.Array, key: jax.Array, steps: int) -> optax.GradientTransformation:
    """Forward differences along signs; whole matrices of the estimate are orthogonalized."""
    del steps
    rates = {"matrix": rate, "other": RATE_1D}
    return optax.chain(
        zojax.estimate_gradient(
            key, zojax.rademacher(), zojax.forward(RADIUS, QUERIES), chunk_size=QUERIES
        ),
        zojax.orthogonalize(),
        optax.partition(
            {kind: optax.scale_by_learning_rate(rate) for kind, rate in rates.items()},
            matrix_or_other(last_axis_rows),
        ),
    )


def _below_edge(arm: Arm, num_queries: int) -> Arm:
    """The arm, its rate bounded by the curvature, which is measured every 60 evaluations."""

    def make(rate: jax.Array, key: jax.Array, steps: int) -> optax.GradientTransformation:
        inner = arm.make(rate, key, steps)
        every = 60 // arm.evaluations
        return zojax.stay_below_edge(inner, key, rate, num_queries=num_queries, every=every)

    return Arm(make, arm.evaluations, arm.center, share=GUARDED)


def _published(make: Any, **options: Any) -> Any:
    return lambda rate, key, steps: make(rate, key, radius=RADIUS, **options)


def experiments() -> list[Experiment]:
    muon = {"learning_rate_1d": RATE_1D, "num_queries": QUERIES, "rank": RANK, "period": PERIOD}
    in_bases = functools.partial(functools.partial, _in_bases)
    r_adazo_in_bases = Arm(in_bases(inner=zojax.scale_by_r_adazo()), QUERIES, 1e-3)
    arms = {
        BASELINE: mezo(1e-3, RADIUS),
        "SubZero": Arm(_published(zojax.subzero, rank=RANK, period=PERIOD), 2, 1e-3),
        "ZO-Muon": Arm(_published(zojax.zo_muon, **muon), QUERIES + 1, 3e-2),
        "MeZO-BCD": Arm(_published(zojax.mezo_bcd), 2, 3e-3),
        "leave-one-out in bases": Arm(in_bases(inner=optax.identity()), QUERIES, 1e-3),
        "leave-one-out in bases, R-AdaZO of the cores": r_adazo_in_bases,
        "signs, forward differences, orthogonalized": Arm(_orthogonal_signs, QUERIES + 1, 1e-2),
        "blocks, the classifier every second step": Arm(
            _published(zojax.mezo_bcd, order=CLASSIFIER_EVERY_SECOND_STEP), 2, 3e-3
        ),
        "MeZO, below the edge": _below_edge(mezo(1e-3, RADIUS), 1),
        "R-AdaZO of the cores in bases, below the edge": _below_edge(r_adazo_in_bases, QUERIES),
    }
    problem = functools.partial(digits, WHOLE, width=48, depth=4, budget=3600)
    return [Experiment("combinations", problem, arms)]
