"""The average of the weights over the last updates, which is evaluated in their place.

    a ← β a + (1 - β) x,    a = x at the start                                                  (1)

x are the params after an update and β is the decay, so that the last 1/(1 - β) updates have a say.

Costs one more tree like params, in float32: with a β near 1, what (1) adds in a step is below the
resolution of narrower numbers.

Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal
on Control and Optimization 30(4), 1992; in this form as in Kingma and Ba, arXiv:1412.6980, 7.2.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import zojax


class AverageState(NamedTuple):
    """State of `average_params`.

    Attributes:
      calls: updates, or parts of them, so far, shape (), int32.
      average: a, like params, float32.
    """

    calls: jax.Array
    average: Any


def average_params(decay: float, *, accumulate: int = 1) -> optax.GradientTransformation:
    """The last link of a chain: it sees the updates as they are applied, and leaves them alone.

    Args:
      decay: β, at least 0 and below 1.
      accumulate: calls that an update is made of; the last one counts.
    """

    def init_fn(params: Any) -> AverageState:
        average = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
        return AverageState(jnp.zeros((), jnp.int32), average)

    def update_fn(updates: Any, state: AverageState, params: Any = None) -> tuple[Any, Any]:
        calls = state.calls + 1
        share = jnp.where(calls % accumulate == 0, 1.0 - decay, 0.0)
        params = jax.tree.map(lambda x: x.astype(jnp.float32), optax.apply_updates(params, updates))
        average = optax.incremental_update(params, state.average, share)
        return updates, AverageState(calls, average)

    return optax.GradientTransformation(init_fn, update_fn)


def averaged(params: Any, state: Any) -> Any:
    """The average that a state holds, in the dtypes of params; without one the params."""
    average = zojax.state_field(state, "average")
    if average is None:
        return params
    return jax.tree.map(lambda a, x: a.astype(x.dtype), average, params)
