"""Parts of an axis: every so many-th entry, from a place that may be traced; runs of entries."""

import jax


def strided(
    array: jax.Array, axis: int, first: jax.Array | int, length: int, step: int = 1
) -> jax.Array:
    """`length` entries of an axis, every `step`-th, from `first` on."""
    span = (length - 1) * step + 1 if length else 0
    part = jax.lax.dynamic_slice_in_dim(array, first, span, axis)
    return part[(slice(None),) * axis + (slice(None, None, step),)]


def split(array: jax.Array, axis: int, inner: int) -> jax.Array:
    """The array with an axis as two, of which the second one has `inner` entries."""
    shape = array.shape
    return array.reshape(*shape[:axis], shape[axis] // inner, inner, *shape[axis + 1 :])
