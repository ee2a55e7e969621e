"""What is minimised."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Problem(NamedTuple):
    """A start, a loss whose batches and noise are drawn anew in every step, and scores without.

    Attributes:
      name: as the tables have it.
      start: `(key) -> params`.
      draw: `(key) -> data`, what all evaluations of a step are given.
      loss: `(params, data) -> loss`, a scalar.
      scores: `(params) -> (validation loss, test loss, test accuracy)`; nan where there is none.
      budget: loss evaluations of a run.
    """

    name: str
    start: Callable[[jax.Array], Any]
    draw: Callable[[jax.Array], Any]
    loss: Callable[[Any, Any], jax.Array]
    scores: Callable[[Any], tuple[jax.Array, jax.Array, jax.Array]]
    budget: int
