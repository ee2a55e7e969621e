"""Arguments of a loss that are divided among the queries of a step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zojax._typing import Params, ValueFn
from zojax.estimators._value_fn import bound


class Divided(NamedTuple):
    """A loss of parts of a batch, and the parts.

    Attributes:
      loss: `(params, share) -> value`.
      shares: a tree whose arrays lead with the queries.
    """

    loss: Callable[[Params, Any], Any]
    shares: Any


def divide(
    value_fn: ValueFn, kwargs: dict[str, Any], names: tuple[str, ...], num_queries: int
) -> Divided:
    """The loss of each query's share of the arguments with these names.

    Raises:
      ValueError: if one of them is missing, or an array of it cannot be divided.
    """
    shares = {}
    for name in names:
        if name not in kwargs:
            raise ValueError(
                f"divided names {name!r}, which update was not given; pass it by name, "
                f"update(None, state, params, value_fn=loss, {name}=...), or use divided=()"
            )
        shares[name] = jax.tree.map_with_path(
            lambda path, array, name=name: _share(
                array, name + jax.tree_util.keystr(path), num_queries
            ),
            kwargs[name],
        )
    return Divided(lambda params, share: bound(value_fn, {**kwargs, **share})(params), shares)


def _share(array: jax.Array, what: str, num_queries: int) -> jax.Array:
    """(n, ...) -> (K, n / K, ...)."""
    shape = jnp.shape(array)
    if not shape or shape[0] % num_queries:
        raise ValueError(
            f"{what} of shape {shape} cannot be divided among num_queries={num_queries}: the first "
            "axis of every array has to be a multiple of it; choose another num_queries, or "
            "another batch"
        )
    return jnp.reshape(array, (num_queries, shape[0] // num_queries, *shape[1:]))
