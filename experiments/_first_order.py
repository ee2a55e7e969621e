"""AdamW: gradients by backpropagation, for comparison.

    ĝ = ∇f(x; batch)

takes the place of an estimate as the first link of a chain, so that data, loop, checkpoints and
report are those of the other methods.

Costs: a gradient counts as three loss evaluations. Beside the forward pass, backpropagation makes
two products for each product of the forward pass, one for the inputs' and one for the weights'
gradient. (Where only an adapter is trained most of the latter are not needed, and the time of a
step shows that.) It stores the activations of all layers, and AdamW two trees like the params.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import zojax

GRADIENT_COST = 3


class BackpropagateState(NamedTuple):
    """What is read of a run, under the names that `zojax.estimate_gradient` has for it.

    Attributes:
      value: the loss, shape (), float32.
      num_evaluations: `GRADIENT_COST` for each gradient so far, shape (), int32.
      num_nonfinite: steps whose loss or gradient was not finite, shape (), int32.
    """

    value: jax.Array
    num_evaluations: jax.Array
    num_nonfinite: jax.Array


def backpropagate() -> optax.GradientTransformationExtraArgs:
    """Replaces the updates by the gradient of `value_fn(params, **data)`.

    It is zero in a step whose loss or gradient is not finite.
    """

    def init_fn(params: Any) -> BackpropagateState:
        del params
        zero = jnp.zeros((), jnp.int32)
        return BackpropagateState(jnp.zeros((), jnp.float32), zero, zero)

    def update_fn(updates, state, params=None, *, value_fn, wide_updates=False, **data):
        del updates
        value, gradient = jax.value_and_grad(value_fn)(params, **data)
        if wide_updates:
            gradient = optax.tree.cast(gradient, jnp.float32)
        finite = jnp.isfinite(value) & jnp.isfinite(optax.tree.norm(gradient))
        return jax.tree.map(lambda g: jnp.where(finite, g, 0), gradient), BackpropagateState(
            value.astype(jnp.float32),
            state.num_evaluations + GRADIENT_COST,
            state.num_nonfinite + ~finite,
        )

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def adamw(
    learning_rate: optax.ScalarOrSchedule,
    weight_decay: float = 1e-4,
    weight_decay_mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
    """AdamW as optax has it, which withholds what is not finite."""
    rule = optax.adamw(learning_rate, weight_decay=weight_decay, mask=weight_decay_mask)
    return zojax.skip_nonfinite(optax.chain(backpropagate(), rule))
