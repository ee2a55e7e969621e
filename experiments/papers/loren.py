"""LOREN, arXiv:2511.07971: is it the learned curvature, or leave-one-out with momentum?

Claimed: above MeZO in accuracy at equally many forward passes (RoBERTa-large, average 70.1 against
58.4), by a preconditioner that is learned. Beside LOREN as it is: its curvature frozen where it
starts, no curvature at all, and higher temperatures, which let the curvature move further; on the
digits ViT, and on a function that has the very curvature that LOREN can learn.
"""

import functools
from typing import Any

import jax
import optax

import zojax
from experiments.papers.arm import Arm, Experiment, mezo
from experiments.papers.digits import digits
from experiments.papers.functions import one_steep_direction
from experiments.papers.names import BASELINE, SMALL, STEEP

QUERIES = 6
TEMPERATURES = (1e2, 1e3, 1e4, 1e6)


def _loren(
    rate: jax.Array, key: jax.Array, steps: int, **options: Any
) -> optax.GradientTransformationExtraArgs:
    return zojax.loren(rate, key, num_queries=QUERIES, chunk_size=QUERIES, **options)


def experiments() -> list[Experiment]:
    image = functools.partial(digits, SMALL, width=32, depth=2, budget=5400)
    steep = functools.partial(one_steep_direction, STEEP, 14400)
    return [
        Experiment("LOREN", image, _arms(mezo_rate=3e-4, rate=1e-4)),
        Experiment("LOREN", steep, _arms(mezo_rate=3e-4, rate=1e-4) | _wide(3e-5)),
    ]


def _arm(rate: float, **options: Any) -> Arm:
    return Arm(functools.partial(_loren, **options), QUERIES, rate)


def _arms(mezo_rate: float, rate: float) -> dict[str, Arm]:
    arm = functools.partial(_arm, rate)
    return {
        BASELINE: mezo(mezo_rate),
        "leave-one-out with momentum": arm(init_scale=0.0, temperature=0.0),
        "LOREN, frozen": arm(temperature=0.0),
        "LOREN": arm(),
        **{f"LOREN, temperature {value:g}": arm(temperature=value) for value in TEMPERATURES},
    }


def _wide(rate: float) -> dict[str, Arm]:
    """What can be learned grows with the radius, at every temperature."""
    arm = functools.partial(_arm, rate, radius=1.0)
    return {
        "LOREN, frozen, radius 1": arm(temperature=0.0),
        "LOREN, radius 1": arm(),
        "LOREN, temperature 100, radius 1": arm(temperature=100.0),
    }
