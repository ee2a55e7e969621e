"""What is compared: a transformation, and how its learning rate is found."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax

import zojax
from experiments.papers.problem import Problem

Make = Callable[[jax.Array, jax.Array, int], optax.GradientTransformationExtraArgs]


class Arm(NamedTuple):
    """One side of a comparison.

    Attributes:
      make: `(learning rate, key, steps of the run) -> transformation`.
      evaluations: of the loss, a step.
      center: the middle of the grid of learning rates.
      share: of the problem's budget.
      rate_of: another arm and a factor: its learning rate times that, without a search.
    """

    make: Make
    evaluations: int
    center: float = 0.0
    share: float = 1.0
    rate_of: tuple[str, float] | None = None


class Experiment(NamedTuple):
    """Arms on a problem, the first of which the others are measured by.

    Attributes:
      paper: the method that it is about.
      problem: a function without arguments, as making one may take a while.
      arms: by name, in the order of the tables.
    """

    paper: str
    problem: Callable[[], Problem]
    arms: dict[str, Arm]


def mezo(center: float, radius: float = 1e-3) -> Arm:
    """Central differences along one gaussian direction, at a constant rate."""
    return Arm(lambda rate, key, steps: zojax.mezo(rate, key, radius=radius), 2, center)
