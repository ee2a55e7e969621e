"""What an estimator is: it asks for losses and turns them into coefficients."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Probe(NamedTuple):
    """What an estimator may ask of the loss in a step; everything is float32 or wider.

    Attributes:
      base: `() -> ()`, the loss at params.
      along: `radii -> losses` at params + radii z_k for the step's K directions; see the `radius`
        of `zojax.evaluate` for the shapes.
    """

    base: Callable[[], jax.Array]
    along: Callable[[jax.Array], jax.Array]


class Estimate(NamedTuple):
    """What an estimator makes of the losses.

    Attributes:
      coefficients: shape (K,); the estimate of the gradient is Σ_k coefficients[k] z_k. With a
        history of H steps (H + 1, K): row h belongs to the directions of h steps ago.
      values: every loss that was evaluated, one axis.
    """

    coefficients: jax.Array
    values: jax.Array


class Estimator(NamedTuple):
    """Measurements → coefficients.

    Attributes:
      num_queries: K, directions a step.
      init: `() -> state`; what is remembered of earlier steps, () if nothing is.
      estimate: `(state, probe) -> (estimate, state)`.
      history: H, earlier steps whose directions are used once more.
    """

    num_queries: int
    init: Callable[[], Any]
    estimate: Callable[[Any, Probe], tuple[Estimate, Any]]
    history: int = 0
