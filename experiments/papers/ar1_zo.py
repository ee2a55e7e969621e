"""AR1-ZO, arXiv:2605.19767: with noise in the loss, are single atoms better than a whole adapter?

Claimed: atoms at a scale that does not shrink with the rank keep their signal, where those under
α/r lose it as 1/r (abstract). The adapter of a digits ViT under both scales, with single atoms
and, as MeZO does, as a whole; the rates of all are tuned, and every evaluation has noise but what
another batch makes, or none.
"""

import functools

import jax
import optax

import zojax
from experiments.papers.arm import Arm, Experiment, mezo
from experiments.papers.digits import adapted_digits
from experiments.papers.names import BASELINE, NOISES, OURS, RANKS, USUAL, adapter
from zojax import lora

ALPHA, RADIUS = 2.0, 1e-2
# Of MeZO at s = 2. A good rate goes as 1/s² without noise; with much noise it grows less.
RATE = 1e-3


def _ar1_zo(rate: jax.Array, key: jax.Array, steps: int) -> optax.GradientTransformationExtraArgs:
    return zojax.ar1_zo(rate, key, radius=RADIUS)


def experiments() -> list[Experiment]:
    return [
        _experiment(rank, noise, name, scale)
        for noise in NOISES
        for rank in RANKS
        for name, scale in _scales(rank).items()
    ]


def _scales(rank: int) -> dict[str, float]:
    """At rank 1 both are the same."""
    ours = {OURS: lora.ar1_scale(ALPHA)}
    return ours if rank == 1 else ours | {USUAL: lora.canonical_scale(ALPHA, rank)}


def _experiment(rank: int, noise: float, name: str, scale: float) -> Experiment:
    rate = RATE * (ALPHA / scale) ** 1.5
    arms = {
        BASELINE: mezo(rate, RADIUS),
        "AR1-ZO": Arm(_ar1_zo, 2, 3 * rate),
    }
    problem = functools.partial(
        adapted_digits,
        adapter(rank, name, noise),
        rank=rank,
        scale=scale,
        noise=noise,
        width=64,
        depth=1,
        budget=2400,
    )
    return Experiment("AR1-ZO", problem, arms)
