"""ZO-Muon, arXiv:2602.17155: how many of MeZO's evaluations does it take to MeZO's loss?

Claimed: 24.7 % of MeZO's queries to MeZO's accuracy (SST-2, abstract), with 4 queries a step,
which are 5 evaluations. All weights of the digits ViT; both at a constant rate, as in the paper,
and at one that decays linearly to zero. Beside the share that the curve shows, ZO-Muon has runs
with a quarter and a half of the evaluations, tuned for these, as a rate that decays has its best
loss at the end. With twice the queries a step and a new subspace twice as often, which were chosen
by hand, it does better; without orthogonalization, what is left is the subspace.
"""

import functools
from typing import Any

import jax
import optax

import zojax
from experiments.papers.arm import Arm, Experiment, mezo
from experiments.papers.digits import digits
from experiments.papers.names import BASELINE, WHOLE

QUERIES, RANK, PERIOD = 4, 16, 100
MORE, SOONER = 8, 50
RATE_1D = 1e-3


def _muon(
    rate: jax.Array,
    key: jax.Array,
    steps: int,
    *,
    decays: bool,
    queries: int = QUERIES,
    period: int = PERIOD,
    **options: Any,
) -> optax.GradientTransformationExtraArgs:
    rates = [rate, RATE_1D]
    if decays:
        rates = [optax.linear_schedule(rate, 0.0, steps) for rate in rates]
    return zojax.zo_muon(
        rates[0],
        key,
        learning_rate_1d=rates[1],
        num_queries=queries,
        rank=RANK,
        period=period,
        chunk_size=queries,
        **options,
    )


def _decaying_mezo(
    rate: jax.Array, key: jax.Array, steps: int
) -> optax.GradientTransformationExtraArgs:
    return zojax.mezo(optax.linear_schedule(rate, 0.0, steps), key)


def experiments() -> list[Experiment]:
    constant = functools.partial(_muon, decays=False)
    decaying = functools.partial(_muon, decays=True)
    subspace = functools.partial(_muon, decays=False, orthogonalization=optax.identity())
    more = functools.partial(decaying, queries=MORE, period=SOONER)
    evaluations = QUERIES + 1
    arms = {
        BASELINE: mezo(1e-3),
        "MeZO, decaying": Arm(_decaying_mezo, 2, 1e-3),
        "ZO-Muon": Arm(constant, evaluations, 3e-2),
        "ZO-Muon, decaying": Arm(decaying, evaluations, 1e-1),
        "ZO-Muon, decaying, half": Arm(decaying, evaluations, 1e-1, share=1 / 2),
        "ZO-Muon, decaying, quarter": Arm(decaying, evaluations, 1e-1, share=1 / 4),
        "ZO-Muon, decaying, 8 queries": Arm(more, MORE + 1, 1e-1, share=0.9),
        "ZO-Muon, decaying, 8 queries, half": Arm(more, MORE + 1, 1e-1, share=0.45),
        "ZO-Muon without orthogonalization": Arm(subspace, evaluations, 3e-3),
    }
    problem = functools.partial(digits, WHOLE, width=48, depth=4, budget=3600)
    return [Experiment("ZO-Muon", problem, arms)]
