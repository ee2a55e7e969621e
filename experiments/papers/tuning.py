"""The search for a learning rate, the same for every arm."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.papers.runs import Runner

SEARCH_SEED = 0


class Tuned(NamedTuple):
    """A learning rate, and whether it is the first or last of its grid."""

    rate: float
    at_end: bool


def grid(center: float, half_decades: int) -> list[float]:
    """Rates half a decade apart, so many on either side of the center."""
    return [
        float(f"{center * 10 ** (place / 2):.2g}")
        for place in range(-half_decades, half_decades + 1)
    ]


def tuned(runner: Runner, rates: Sequence[float]) -> Tuned:
    """The rate of the least validation loss; one run each, with a seed of its own."""
    losses = [runner.run(rate, SEARCH_SEED).validation for rate in rates]
    best = int(np.argmin(losses))
    return Tuned(rates[best], best in (0, len(rates) - 1))
