"""Losses that were measured before, in the place of a loss."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zojax._measurement import Losses
from zojax._schedule import as_buffer
from zojax.estimators._guiding import recorded_in_turn
from zojax.estimators._measuring import Answer


class Recorded(NamedTuple):
    """The losses of a step, to make it again without evaluating any.

    `update(None, state, params, value_fn=Recorded(losses))` with the params and the state before a
    step, and its losses, makes the updates and the state of that step: directions are drawn from
    the same key, the estimator makes the same coefficients of the same losses, and the links behind
    are told the same. A step whose losses were not finite is withheld again. So the losses of a run
    and the params that it started from give the params of each of its steps.

    Costs no loss evaluation, and the regenerations of an update; `num_evaluations` counts those of
    the step that is made again.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> tx = zojax.mezo(0.05, jax.random.key(0))
      >>> x = jnp.array([1.0, 2.0])
      >>> state = tx.init(x)
      >>> updates, after = tx.update(None, state, x, value_fn=lambda x: jnp.sum(x**2))
      >>> losses = optax.tree.get(after, "last_losses")  # of both points, (2,) float32
      >>> again, _ = tx.update(None, state, x, value_fn=zojax.Recorded(losses))
      >>> bool((again == updates).all())
      True

    Attributes:
      losses: `last_losses` of the state after the step, (n,).
    """

    losses: jax.Array

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises TypeError: only those losses are known that the estimate asked for."""
        raise TypeError(
            "a link behind the estimate evaluates value_fn itself (a line search?), but with "
            "zojax.Recorded only the losses of the estimate are known; such a step cannot be made "
            "again from them"
        )

    def check(self, like: jax.Array) -> None:
        """Raises ValueError if these are no losses of such a step, or not all of them."""
        if self.losses.shape != like.shape:
            raise ValueError(
                f"recorded losses have shape {self.losses.shape}, but a step of this estimator has "
                f"{like.shape}; they belong to another method, or to other num_queries"
            )

    def guiding(self) -> tuple[Losses, list[Answer]]:
        """What a sampler is answered before it draws, as `Measure.losses` gives it."""
        return recorded_in_turn(as_buffer(self.losses))

    def answers(self, num_queries: int, first: int) -> Losses:
        """What an estimator is answered.

        Args:
          num_queries: K.
          first: losses in front of these, which the sampler asked for.
        """

        def along(directions: Any, radii: jax.Array) -> jax.Array:
            del directions
            shape = (num_queries, *jnp.shape(radii)[-1:])
            return as_buffer(self.losses[first : first + math.prod(shape)].reshape(shape))

        return Losses(lambda: as_buffer(self.losses[-1]), along)
