"""What may be asked of the loss in a step, and what is made of the answers."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zojax._typing import Key


class Losses(NamedTuple):
    """What a sampler may ask of the loss before it draws; everything is float32 or wider.

    Attributes:
      base: `() -> ()`, the loss at params.
      along: `(directions, radii, when=True) -> losses` at params + radii z_k for directions of its
        own; see the `radius` of `zojax.evaluate` for the shapes. Unless `when`, which may be
        traced, nothing is evaluated or counted, and the losses are zeros.
      inputs: `summarize -> summaries` of what meets the leaves as the loss is evaluated at params,
        see `zojax.evaluation.loss_and_inputs`, at the price of `base`, which it evaluates for the
        estimator too. None where losses alone are known.
    """

    base: Callable[[], jax.Array]
    along: Callable[..., jax.Array]
    inputs: Callable[..., dict[str, jax.Array]] | None = None


class Probe(NamedTuple):
    """What an estimator may ask in a step; everything is float32 or wider.

    Attributes:
      base: `() -> ()`, the loss at params.
      along: `radii -> losses` at params + radii z_k for the step's K directions; see the `radius`
        of `zojax.evaluate` for the shapes.
      step: steps taken so far, shape (), int32.
      key: `() -> key`, of this step and for the estimator alone: for a radius that is drawn, say.
        `zojax.estimate_gradient` always gives both; a test of an estimator may leave them out.
    """

    base: Callable[[], jax.Array]
    along: Callable[[jax.Array], jax.Array]
    step: jax.Array | int = 0
    key: Callable[[], Key] | None = None


class Estimate(NamedTuple):
    """What an estimator makes of the losses; samplers see it in `observe`.

    Attributes:
      coefficients: shape (K,); the estimate of the gradient is Σ_k coefficients[k] z_k. With a
        history of H steps (H + 1, K): row h belongs to the directions of h steps ago.
      losses: those along the directions, as `Probe.along` gave them, (K,) or (K, P).
      base: the loss at params, shape (), if that was evaluated.
      curvatures: z_kᵀ H z_k of the Hessian H along each direction, (K,), if that was measured.
    """

    coefficients: jax.Array
    losses: jax.Array
    base: jax.Array | None = None
    curvatures: jax.Array | None = None

    @property
    def values(self) -> jax.Array:
        """Every loss that was evaluated for it, one axis."""
        along = self.losses.reshape(-1)
        return along if self.base is None else jnp.append(along, self.base)
