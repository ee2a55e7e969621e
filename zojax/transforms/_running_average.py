"""A moving average that begins with the first update."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import wide
from zojax._typing import Params


class RunningAverageState(NamedTuple):
    """State of `running_average`.

    Attributes:
      average: N, a tree shaped like params, float32 or wider.
      num_updates: t, shape (), int32.
    """

    average: Params
    num_updates: jax.Array


def running_average(decay: ArrayLike) -> optax.GradientTransformation:
    """Replaces the updates by N_1 = g_1, N_t = β N_{t-1} + (1 - β) g_t.

    `optax.ema` begins at 0 and may divide the bias out; this begins at g_1, which keeps the weight
    β^{t-1}.

    Stores one tree like params. No loss evaluation.

    Args:
      decay: β, at least 0 and below 1.

    Raises:
      ValueError: if β is no such number.

    Source: the momentum of LOZO-M's official code, optsuite/LOZO.
    """
    _checks.below_one(decay=decay)

    def init_fn(params: Params) -> RunningAverageState:
        zeros = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, wide(leaf.dtype)), params)
        return RunningAverageState(zeros, jnp.zeros((), jnp.int32))

    def update_fn(
        updates: optax.Updates, state: RunningAverageState, params: Params | None = None
    ) -> tuple[optax.Updates, RunningAverageState]:
        del params
        kept = jnp.where(state.num_updates == 0, 0.0, decay)

        def mixed(g: jax.Array, n: jax.Array) -> jax.Array:
            return (kept * n + (1 - kept) * g.astype(n.dtype)).astype(n.dtype)

        average = jax.tree.map(mixed, updates, state.average)
        state = RunningAverageState(average, optax.safe_increment(state.num_updates))
        return optax.tree.cast_like(average, updates), state

    return optax.GradientTransformation(init_fn, update_fn)
