"""What a state says of the run, read by name."""

from typing import Any

import jax
import optax

from zojax.estimators._estimate_gradient import EstimateGradientState


def state_field(state: Any, name: str, default: Any = None) -> Any:
    """Returns a field of the optax state, such as `value` or `num_evaluations`.

    A field of `EstimateGradientState` if it has one of that name, else of another state in the
    chain. Unlike `optax.tree.get` it passes over entries of trees like params, such as the moments
    of a layer that is called "key" or "value", as those of attention often are.

    Args:
      state: of a chain, or of what is around one.
      name: of the field.
      default: returned where no state has it.

    Raises:
      KeyError: if several states have it.

    Examples:
      >>> import jax, jax.numpy as jnp, zojax
      >>> params = {"key": jnp.ones(3), "value": jnp.ones(3)}
      >>> state = zojax.mezo_adam(1e-3, jax.random.key(7)).init(params)
      >>> zojax.state_field(state, "key") == jax.random.key(7), zojax.state_field(state, "mean")
      (Array(True, dtype=bool), None)
    """
    leaves = jax.tree.leaves(state, is_leaf=_is_estimate)
    found = [leaf for leaf in leaves if _is_estimate(leaf)]
    if name not in EstimateGradientState._fields or not found:
        return optax.tree.get(state, name, default, filtering=_is_field)
    if len(found) > 1:
        raise KeyError(f"{name}: {len(found)} estimates in this state have one")
    return getattr(found[0], name)


def _is_estimate(node: Any) -> bool:
    return isinstance(node, EstimateGradientState)


def _is_field(path: tuple[Any, ...], value: Any) -> bool:
    del value
    return isinstance(path[-1], optax.tree_utils.NamedTupleKey)
