"""Up to which magnitude a weight is small."""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax._typing import Params
from zojax.samplers._views import Views, checked_view


def magnitude_thresholds(params: Params, sparsity: ArrayLike, views: Views) -> Params:
    """For every matrix h, such that a share of 1 - `sparsity` of its entries have |w| ≤ h.

    Of stacked matrices (the batch axes of a view) each has its own; a leaf without a view has one.

    Returns:
      A tree like params, float32; a leaf has its axes, of length 1 but for those of a batch.
    """

    def of_leaf(path: tuple, leaf: jax.Array) -> jax.Array:
        view = checked_view(views, path, leaf)
        batch = view.batch if view else ()
        summed = tuple(axis for axis in range(leaf.ndim) if axis not in batch)
        count = math.prod(leaf.shape[axis] for axis in summed)
        return _order_statistic(leaf, jnp.round((1 - sparsity) * count).astype(jnp.int32), summed)

    return jax.tree.map_with_path(of_leaf, params)


def _order_statistic(leaf: jax.Array, rank: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The rank-th smallest magnitude over these axes, which stay with length 1; -1 for rank 0.

    Bisection of what is counted: a float32 that is not negative is ordered as its bits are, so 31
    looks at the leaf find it. Sorting would hold a copy.
    """
    bits = jax.lax.bitcast_convert_type(jnp.abs(leaf).astype(jnp.float32), jnp.int32)
    shape = [1 if axis in axes else size for axis, size in enumerate(leaf.shape)]

    def halve(_: jax.Array, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = low + (high - low) // 2
        enough = jnp.sum(bits <= middle, axes, keepdims=True, dtype=jnp.int32) >= rank
        return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

    largest = jnp.finfo(jnp.float32).max
    ends = (jnp.zeros(shape, jnp.int32), jnp.full(shape, largest).view(jnp.int32))
    _, found = jax.lax.fori_loop(0, 31, halve, ends)
    return jnp.where(rank > 0, jax.lax.bitcast_convert_type(found, jnp.float32), -1.0)
