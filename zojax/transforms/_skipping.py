"""Steps that are not taken."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from zojax import _checks
from zojax._typing import Params
from zojax.estimators import state_field


def skip_nonfinite(
    inner: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """Makes the updates of `inner` -0.0 in steps whose loss was not finite.

    An estimate of such a step is already zero; this stops what later links of `inner` would add to
    it, like weight decay. (`optax.apply_if_finite` looks at incoming updates, which a chain that
    starts with an estimate has not.)

    Args:
      inner: a chain that contains one `zojax.estimate_gradient`.
    """
    _checks.instance(optax.GradientTransformation, "optax.chain(...)", inner=inner)
    inner = optax.with_extra_args_support(inner)

    def update_fn(
        updates: optax.Updates, state: Any, params: Params | None = None, **extra_args: Any
    ) -> tuple[optax.Updates, Any]:
        updates, new_state = inner.update(updates, state, params, **extra_args)
        finite = _count(new_state) == _count(state)
        # Adding 0.0 would turn a weight of -0.0 into 0.0; adding -0.0 changes no bit of any.
        return jax.tree.map(lambda u: jnp.where(finite, u, -jnp.zeros_like(u)), updates), new_state

    return optax.GradientTransformationExtraArgs(inner.init, update_fn)


def _count(state: Any) -> jax.Array:
    return state_field(state, "num_nonfinite")
