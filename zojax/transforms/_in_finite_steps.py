"""Links that remember nothing of steps that were not taken."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from zojax._typing import Params


def in_finite_steps(
    inner: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """`inner`, whose state stays as it was in a step whose losses gave no finite estimate.

    The estimate of such a step is 0, which moments would take for a gradient. Belongs into
    `zojax.chain`, which tells whether the estimate `is_finite`; the updates are those of `inner`,
    and `skip_nonfinite` around the chain makes them -0.0.

    Args:
      inner: a link behind the estimate.
    """
    inner = optax.with_extra_args_support(inner)

    def update_fn(
        updates: optax.Updates,
        state: Any,
        params: Params | None = None,
        *,
        is_finite: jax.Array | bool = True,
        **extra_args: Any,
    ) -> tuple[optax.Updates, Any]:
        updates, new_state = inner.update(updates, state, params, **extra_args)
        return updates, jax.tree.map(lambda a, b: jnp.where(is_finite, a, b), new_state, state)

    return optax.GradientTransformationExtraArgs(inner.init, update_fn)
