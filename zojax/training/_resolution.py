"""Changes of weights that are too small for the dtype of a leaf."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax


class LostChange(NamedTuple):
    """A leaf on which a change is lost.

    Attributes:
      path: of the leaf in params.
      dtype: its dtype.
      weight: its typical weight, the mean of |w|.
      half_spacing: half the distance of the numbers of its dtype at that weight.
      change: what would have been added to it.
    """

    path: str
    dtype: Any
    weight: float
    half_spacing: float
    change: float


def lost_changes(params: Any, changes: float | np.ndarray) -> list[LostChange]:
    """Returns the leaves whose typical weight does not move by a change of this size.

    Rounding to nearest loses all that is below half the distance between the numbers of a dtype,
    which is 2^(⌊log₂|w|⌋ - p - 1) at a weight w, with p bits behind the leading one (7 in bfloat16,
    10 in float16, 23 in float32). A leaf of zeros is never named: next to 0 numbers are dense.

    One reduction over the params, no copy of them. The host waits for it.

    Args:
      params: a tree of floating-point arrays.
      changes: the typical size of an entry of the change, one for all leaves or one for each,
        shape (leaves,); a leaf with 0 is not meant to change.
    """
    named = jax.tree.leaves_with_path(params)
    weights = np.asarray(_mean_sizes(params))
    lost = []
    for (path, leaf), weight, change in zip(
        named, weights.tolist(), np.broadcast_to(changes, len(named)).tolist(), strict=True
    ):
        half = _half_spacing(weight, leaf.dtype)
        if 0 < change < half:
            name = jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
            lost.append(LostChange(name, leaf.dtype, weight, half, change))
    return lost


def make_update_sizes(
    tx: optax.GradientTransformationExtraArgs, value_fn: Callable[..., jax.Array]
) -> Callable[..., jax.Array]:
    """Returns a jitted `sizes(params, state, **data)`: how large the entries of an update are.

    It makes the update that a step of `make_step` would, at the same price, and changes nothing.
    What it returns has shape (leaves,), float32: of every leaf the mean of |u| over the entries
    that are not 0.
    """

    def sizes(params, state, **data):
        updates, _ = tx.update(None, state, params, value_fn=value_fn, **data)
        return _mean_sizes(updates)

    return jax.jit(sizes)


@jax.jit
def _mean_sizes(tree: Any) -> jax.Array:
    """Of every leaf the mean of |w| where it is not 0, shape (leaves,), float32; 0 for zeros."""

    def mean(leaf: jax.Array) -> jax.Array:
        size = jnp.abs(leaf.astype(jnp.float32))
        return jnp.sum(size) / jnp.maximum(jnp.sum(size > 0), 1)

    return jnp.stack([mean(leaf) for leaf in jax.tree.leaves(tree)])


def _half_spacing(weight: float, dtype: Any) -> float:
    if not 0 < weight < float("inf"):
        return 0.0
    of = jnp.finfo(dtype)
    exponent = max(int(np.floor(np.log2(weight))), of.minexp)
    return 2.0 ** (exponent - of.nmant - 1)
