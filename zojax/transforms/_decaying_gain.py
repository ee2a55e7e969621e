"""Spall's gain: a factor of the updates that decays."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._typing import Params


class ScaleByDecayingGainState(NamedTuple):
    """State of `scale_by_decaying_gain`.

    Attributes:
      num_updates: k, shape (), int32. (`count` is that of the estimate.)
    """

    num_updates: jax.Array


def scale_by_decaying_gain(
    stability: ArrayLike = 100.0, alpha: ArrayLike = 0.602
) -> optax.GradientTransformation:
    """Multiplies the updates of step k = 0, 1... with ((1 + A) / (k + 1 + A))^α, at first 1.

    Stores k. No loss evaluation.

    Args:
      stability: A, at least 0.
      alpha: α, at least 0.

    Raises:
      ValueError: if a number is out of range.

    Source: Spall, "Implementation of the simultaneous perturbation algorithm for stochastic
    optimization", IEEE Transactions on Aerospace and Electronic Systems 34, 1998.
    """
    _checks.not_negative(stability=stability, alpha=alpha)

    def init_fn(params: Params) -> ScaleByDecayingGainState:
        del params
        return ScaleByDecayingGainState(jnp.zeros((), jnp.int32))

    def update_fn(
        updates: optax.Updates, state: ScaleByDecayingGainState, params: Params | None = None
    ) -> tuple[optax.Updates, ScaleByDecayingGainState]:
        del params
        gain = (1.0 + state.num_updates / (1.0 + stability)) ** -alpha
        updates = jax.tree.map(lambda u: (gain * u).astype(u.dtype), updates)
        return updates, ScaleByDecayingGainState(optax.safe_increment(state.num_updates))

    return optax.GradientTransformation(init_fn, update_fn)
