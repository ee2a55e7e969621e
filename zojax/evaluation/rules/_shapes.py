"""Rules for what only looks at a leaf otherwise: the perturbed array stays lazy.

Where the recipe cannot follow (a cut through rows), the array is drawn.
"""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._program import bind


def convert_element_type(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """Casts to a floating dtype are made when the array is."""
    (leaf,) = operands
    dtype = jnp.dtype(eqn.params["new_dtype"])
    if not jnp.issubdtype(dtype, jnp.floating):
        return None
    return [dataclasses.replace(leaf, dtypes=(*leaf.dtypes, dtype))]


def same(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """What changes no entry: a copy, a stop of gradients."""
    del eqn
    return operands


def optimization_barrier(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """Holds back the arrays among its operands; a perturbed one is drawn behind it anyway."""
    lazy = [isinstance(operand, Perturbed) for operand in operands]
    arrays = [operand for operand, is_lazy in zip(operands, lazy, strict=True) if not is_lazy]
    held = iter(bind(eqn, arrays) if arrays else [])
    return [
        operand if is_lazy else next(held) for operand, is_lazy in zip(operands, lazy, strict=True)
    ]


def transpose(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """The axes in another order; `base` stays as it lies."""
    (leaf,) = operands
    order = tuple(leaf.permutation[axis] for axis in eqn.params["permutation"])
    return [dataclasses.replace(leaf, permutation=order)]


def squeeze(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """Drops axes of length 1."""
    leaf = operands[0].settled()
    for axis in sorted((axis % leaf.ndim for axis in eqn.params["dimensions"]), reverse=True):
        leaf = _squeeze(leaf, axis)
    return [leaf]


def reshape(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """Dropping and inserting axes of length 1; other shapes cut rows or join them."""
    leaf, new_sizes = operands[0].settled(), eqn.params["new_sizes"]
    kept = [n for n in leaf.base.shape if n != 1]
    if eqn.params["dimensions"] is not None or kept != [n for n in new_sizes if n != 1]:
        return None
    for axis in reversed(range(leaf.ndim)):
        if leaf.base.shape[axis] == 1:
            leaf = _squeeze(leaf, axis)
    for axis, n in enumerate(new_sizes):
        if n == 1:
            leaf = _expand(leaf, axis)
    return [leaf]


def broadcast_in_dim(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """Inserting axes of length 1 in front of a leaf or inside it; anything else repeats entries."""
    leaf, *dynamic = operands
    leaf, shape = leaf.settled(), eqn.params["shape"]
    old = eqn.params["broadcast_dimensions"]
    inserted = [axis for axis in range(len(shape)) if axis not in old]
    same_entries = tuple(shape[axis] for axis in old) == leaf.base.shape
    if dynamic or not same_entries or any(shape[axis] != 1 for axis in inserted):
        return None
    for axis in inserted:
        leaf = _expand(leaf, axis)
    return [leaf]


def slice_(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """A part of some axes, every so many-th entry."""
    leaf = result = operands[0].settled()
    starts, limits = eqn.params["start_indices"], eqn.params["limit_indices"]
    strides = eqn.params["strides"] or (1,) * leaf.ndim
    for axis, (first, limit, step) in enumerate(zip(starts, limits, strides, strict=True)):
        if (first, limit, step) == (0, leaf.base.shape[axis], 1):
            continue
        base = jax.lax.slice_in_dim(result.base, first, limit, step, axis)
        recipe = result.recipe.slice(axis, first, base.shape[axis], step)
        result = result.replaced(base, recipe)
        if result is None:
            return None
    return [result]


def split(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """Each piece is a slice."""
    leaf, sizes, axis = operands[0].settled(), eqn.params["sizes"], eqn.params["axis"]
    ends = itertools.accumulate(sizes)
    pieces = [leaf.slice(axis, end - size, size) for end, size in zip(ends, sizes, strict=True)]
    return None if any(piece is None for piece in pieces) else pieces


def unstack(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """Each entry of an axis is a slice; what iterating over an array is in jax 0.12."""
    leaf, axis = operands[0].settled(), eqn.params["axis"]
    entries = [leaf.slice(axis, entry, 1) for entry in range(leaf.base.shape[axis])]
    if any(entry is None for entry in entries):
        return None
    return [_squeeze(entry, axis) for entry in entries]


def dynamic_slice(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """A part of some axes from a place that is known when the program runs."""
    leaf, *indices = operands
    leaf = result = leaf.settled()
    for axis, (first, length) in enumerate(zip(indices, eqn.params["slice_sizes"], strict=True)):
        size = leaf.base.shape[axis]
        if length == size:
            continue
        # Out of bounds, dynamic_slice moves the slice inside; the recipe must name the same rows.
        first = jnp.clip(jnp.asarray(first, jnp.int32), 0, size - length)
        result = result.slice(axis, first, length)
        if result is None:
            return None
    return [result]


def _squeeze(leaf: Perturbed, axis: int) -> Perturbed:
    return leaf.replaced(jax.lax.squeeze(leaf.base, (axis,)), leaf.recipe.squeeze(axis))


def _expand(leaf: Perturbed, axis: int) -> Perturbed:
    return leaf.replaced(jax.lax.expand_dims(leaf.base, (axis,)), leaf.recipe.expand(axis))
