"""The training step: one update of a gradient-free transformation, or several, compiled once."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from zojax.estimators import state_field


def make_step(
    tx: optax.GradientTransformationExtraArgs,
    value_fn: Callable[..., jax.Array],
    *,
    shardings: tuple[Any, Any] | None = None,
) -> Callable[..., tuple[Any, Any, dict[str, jax.Array]]]:
    """Returns a jitted `step(params, state, **data) -> (params, state, measured)`.

    `data` reaches `value_fn` by name, `value_fn(params, **data)`. The buffers of `params` and
    `state` are donated: the old ones must not be used again. `measured` holds arrays of shape
    () that stay on the device until somebody reads them: `value`, the mean probed loss;
    `num_evaluations`, all losses evaluated so far; `num_nonfinite`, the updates so far that
    were withheld because a loss was not finite. Where there are directions, `coefficients`, (K,),
    are what they were multiplied with, and `last_losses`, (n,), what a `SeedLog` keeps.

    Args:
      tx: a transformation whose chain holds an estimating link, such as `zojax.mezo`.
      value_fn: the loss, shape ().
      shardings: how params and state come back, trees of `jax.sharding.Sharding`; None: as the
        compiler chooses, which on a mesh may be another way than they came.
    """
    return _jitted(update_of(tx, value_fn), shardings)


def make_steps(
    tx: optax.GradientTransformationExtraArgs,
    value_fn: Callable[..., jax.Array],
    *,
    shardings: tuple[Any, Any] | None = None,
) -> Callable[..., tuple[Any, Any, dict[str, jax.Array]]]:
    """Returns a jitted `steps(params, state, batches, **data) -> (params, state, measured)`.

    n updates in one call, which does what n calls of a step of `make_step` do, up to roundings,
    in the memory of one: for updates so short that calling them takes longer than making them.

    `batches` holds by name what differs from update to update, with arrays of shape (n, ...), and
    `data` what does not: update i is that of `step(params, state, **(batches at i), **data)`. The
    buffers of `params` and `state` are donated. `measured` has arrays that lead with n, an entry
    an update. Another n is compiled anew, as are other shapes.

    Args:
      tx: a transformation whose chain holds an estimating link, such as `zojax.mezo`.
      value_fn: the loss, shape ().
      shardings: as for `make_step`.
    """
    update = update_of(tx, value_fn)

    def steps(params, state, batches: Mapping[str, Any], **data):
        def body(carry, batch):
            *carry, measured = update(*carry, **batch, **data)
            return tuple(carry), measured

        (params, state), measured = jax.lax.scan(body, (params, state), batches)
        return params, state, measured

    return _jitted(steps, shardings)


def _jitted(step: Callable, shardings: tuple[Any, Any] | None) -> Callable:
    """The compiled step, which takes over the buffers of params and state."""
    out = None if shardings is None else (*shardings, None)
    return jax.jit(step, donate_argnums=(0, 1), out_shardings=out)


def update_of(
    tx: optax.GradientTransformationExtraArgs, value_fn: Callable[..., jax.Array]
) -> Callable[..., tuple[Any, Any, dict[str, jax.Array]]]:
    """What is compiled as a step."""

    def step(params, state, **data):
        updates, state = tx.update(None, state, params, value_fn=value_fn, **data)
        names = ("value", "num_evaluations", "num_nonfinite", "coefficients", "last_losses")
        found = {name: state_field(state, name) for name in names}
        measured = {name: array for name, array in found.items() if array is not None}
        return optax.apply_updates(params, updates), state, measured

    return step
