"""The training step: one update of a gradient-free transformation, compiled once."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import optax


def make_step(
    tx: optax.GradientTransformationExtraArgs, value_fn: Callable[..., jax.Array]
) -> Callable[..., tuple[Any, Any, dict[str, jax.Array]]]:
    """Returns a jitted `step(params, state, **data) -> (params, state, measured)`.

    `data` reaches `value_fn` by name, `value_fn(params, **data)`. The buffers of `params` and
    `state` are donated: the old ones must not be used again. `measured` holds arrays of shape
    () that stay on the device until somebody reads them: `value`, the mean probed loss;
    `num_evaluations`, all losses evaluated so far; `num_nonfinite`, the updates so far that
    were withheld because a loss was not finite.

    Args:
      tx: a transformation whose chain holds an estimating link, such as `zojax.mezo`.
      value_fn: the loss, shape ().
    """

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, **data):
        updates, state = tx.update(None, state, params, value_fn=value_fn, **data)
        names = ("value", "num_evaluations", "num_nonfinite")
        measured = {name: optax.tree.get(state, name, filtering=_is_field) for name in names}
        return optax.apply_updates(params, updates), state, measured

    return step


def _is_field(path: tuple[Any, ...], value: Any) -> bool:
    """Whether an entry is a field of a state: moments have the names of params, maybe "value"."""
    del value
    return isinstance(path[-1], optax.tree_utils.NamedTupleKey)
