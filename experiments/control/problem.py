"""What a problem without gradients is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Problem(NamedTuple):
    """Something to minimize.

    Attributes:
      start: `key -> params`.
      loss: `(params, key) -> ()`, of one draw of the circumstances.
      score: `params -> ()`, what is reported; higher is better.
      scored: what the score is, in words.
      radius: how far from the params the loss is asked for.
    """

    start: Callable[[jax.Array], Any]
    loss: Callable[[Any, jax.Array], jax.Array]
    score: Callable[[Any], jax.Array]
    scored: str
    radius: float
