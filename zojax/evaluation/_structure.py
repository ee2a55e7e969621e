"""Rules for what only looks at a leaf otherwise: the perturbed array stays lazy.

Where the recipe cannot follow (a cut through rows), the array is drawn.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import quax
from jax.typing import ArrayLike

from zojax.evaluation._perturbed import Perturbed


@quax.register(jax.lax.convert_element_type_p)
def _(leaf: Perturbed, *, new_dtype, **params):
    if not jnp.issubdtype(new_dtype, jnp.floating):
        return Perturbed.default(
            jax.lax.convert_element_type_p, [leaf], {"new_dtype": new_dtype, **params}
        )
    dtypes = (*leaf.dtypes, jnp.dtype(new_dtype))
    return dataclasses.replace(leaf, dtypes=dtypes)


@quax.register(jax.lax.copy_p)
def _(leaf: Perturbed):
    return leaf


@quax.register(jax.lax.stop_gradient_p)
def _(leaf: Perturbed, **_):
    return leaf


@quax.register(jax.lax.transpose_p)
def _(leaf: Perturbed, *, permutation):
    order = tuple(leaf.permutation[axis] for axis in permutation)
    return dataclasses.replace(leaf, permutation=order)


@quax.register(jax.lax.squeeze_p)
def _(leaf: Perturbed, *, dimensions):
    leaf = leaf.settled()
    for axis in sorted((axis % leaf.ndim for axis in dimensions), reverse=True):
        leaf = _squeeze(leaf, axis)
    return leaf


@quax.register(jax.lax.reshape_p)
def _(leaf: Perturbed, *, new_sizes, dimensions, **params):
    """Dropping and inserting axes of length 1; other shapes cut rows or join them."""
    leaf = leaf.settled()
    kept = [n for n in leaf.base.shape if n != 1]
    if dimensions is not None or kept != [n for n in new_sizes if n != 1]:
        params = {"new_sizes": new_sizes, "dimensions": dimensions, **params}
        return Perturbed.default(jax.lax.reshape_p, [leaf], params)
    for axis in reversed(range(leaf.ndim)):
        if leaf.base.shape[axis] == 1:
            leaf = _squeeze(leaf, axis)
    for axis, n in enumerate(new_sizes):
        if n == 1:
            leaf = _expand(leaf, axis)
    return leaf


@quax.register(jax.lax.broadcast_in_dim_p)
def _(leaf: Perturbed, *dynamic: ArrayLike, shape, broadcast_dimensions, **params):
    """Inserting axes of length 1 in front of a leaf or inside it; anything else repeats entries."""
    leaf = leaf.settled()
    inserted = [axis for axis in range(len(shape)) if axis not in broadcast_dimensions]
    same = tuple(shape[axis] for axis in broadcast_dimensions) == leaf.base.shape
    if dynamic or not same or any(shape[axis] != 1 for axis in inserted):
        params = {"shape": shape, "broadcast_dimensions": broadcast_dimensions, **params}
        return Perturbed.default(jax.lax.broadcast_in_dim_p, [leaf, *dynamic], params)
    for axis in inserted:
        leaf = _expand(leaf, axis)
    return leaf


@quax.register(jax.lax.slice_p)
def _(leaf: Perturbed, *, start_indices, limit_indices, strides):
    leaf = leaf.settled()
    result = leaf
    for axis, (first, limit) in enumerate(zip(start_indices, limit_indices, strict=True)):
        step = 1 if strides is None else strides[axis]
        if (first, limit, step) == (0, leaf.base.shape[axis], 1):
            continue
        length = -(-(limit - first) // step)
        base = jax.lax.slice_in_dim(result.base, first, limit, step, axis)
        result = result.replaced(base, result.recipe.slice(axis, first, length, step))
        if result is None:
            params = dict(start_indices=start_indices, limit_indices=limit_indices, strides=strides)
            return Perturbed.default(jax.lax.slice_p, [leaf], params)
    return result


@quax.register(jax.lax.split_p)
def _(leaf: Perturbed, *, sizes, axis):
    """Each piece is a slice."""
    leaf = leaf.settled()
    ends = list(itertools.accumulate(sizes))
    pieces = [leaf.slice(axis, end - size, size) for end, size in zip(ends, sizes, strict=True)]
    if any(piece is None for piece in pieces):
        return Perturbed.default(jax.lax.split_p, [leaf], {"sizes": sizes, "axis": axis})
    return pieces


@quax.register(jax.lax.dynamic_slice_p)
def _(leaf: Perturbed, *indices: ArrayLike, slice_sizes):
    leaf = leaf.settled()
    result = leaf
    for axis, (first, length) in enumerate(zip(indices, slice_sizes, strict=True)):
        size = leaf.base.shape[axis]
        if length == size:
            continue
        # Out of bounds, dynamic_slice moves the slice inside; the recipe must name the same rows.
        first = jnp.clip(jnp.asarray(first, jnp.int32), 0, size - length)
        result = result.slice(axis, first, length)
        if result is None:
            params = {"slice_sizes": slice_sizes}
            return Perturbed.default(jax.lax.dynamic_slice_p, [leaf, *indices], params)
    return result


def _squeeze(leaf: Perturbed, axis: int) -> Perturbed:
    return leaf.replaced(jax.lax.squeeze(leaf.base, (axis,)), leaf.recipe.squeeze(axis))


def _expand(leaf: Perturbed, axis: int) -> Perturbed:
    return leaf.replaced(jax.lax.expand_dims(leaf.base, (axis,)), leaf.recipe.expand(axis))
