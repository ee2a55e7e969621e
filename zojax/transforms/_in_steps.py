"""Links that act in some steps, without a buffer for what they make."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from zojax._typing import Params


def in_steps(
    inner: optax.GradientTransformation, when: Callable[[jax.Array], jax.Array]
) -> optax.GradientTransformationExtraArgs:
    """`inner` in the steps for which `when(step)` is true; others pass it, and it forgets them.

    As `optax.conditionally_transform`, whose conditional has a buffer for every update. Here both
    updates are made and one is chosen entry by entry, which fuses with what is done to it. For
    links that are cheap.

    Args:
      inner: the link.
      when: a function of the step, counted from 0, shape (), int32, to a boolean of shape ().
    """
    inner = optax.with_extra_args_support(inner)

    def init_fn(params: Params) -> optax.ConditionallyTransformState:
        return optax.ConditionallyTransformState(inner.init(params), jnp.zeros((), jnp.int32))

    def update_fn(
        updates: optax.Updates,
        state: optax.ConditionallyTransformState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, optax.ConditionallyTransformState]:
        acts = when(state.step)
        passed = (updates, state.inner_state)
        made = inner.update(updates, state.inner_state, params, **extra_args)
        updates, kept = jax.tree.map(lambda a, b: jnp.where(acts, a, b), made, passed)
        step = optax.safe_increment(state.step)
        return updates, optax.ConditionallyTransformState(kept, step)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)
