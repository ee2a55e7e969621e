"""Rule for gathered rows (an embedding): only their own noise is drawn."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from zojax._mesh import uncut_along
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._program import bind


def gather(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """Whole entries of one axis."""
    leaf, index = operands
    if not isinstance(leaf, Perturbed):
        return None
    leaf, index = leaf.settled(), jnp.asarray(index)
    numbers = eqn.params["dimension_numbers"]
    column = _gathered_column(leaf, eqn.params)
    if column is None:
        return None
    axis = numbers.start_index_map[column]
    last = leaf.base.shape[axis] - 1
    entries = index[..., column].astype(jnp.promote_types(index.dtype, jnp.int32))
    inside = jnp.clip(entries, 0, last)
    z = leaf.recipe.draw_taken(axis, inside.astype(jnp.int32), leaf.base.shape, index)
    if z is None:
        return None
    if axis not in numbers.collapsed_slice_dims:
        z = jnp.expand_dims(z, entries.ndim + axis)
    if eqn.params["mode"] is jax.lax.GatherScatterMode.FILL_OR_DROP:
        # What is filled in is no entry of the leaf.
        is_entry = (inside == entries).reshape(*entries.shape, *(1,) * (z.ndim - entries.ndim))
        z = jnp.where(is_entry, z, 0)
    offsets = numbers.offset_dims
    z = jnp.moveaxis(z, range(z.ndim - len(offsets), z.ndim), offsets)
    (base,) = bind(eqn, [leaf.base, index])
    return [leaf.shifted(uncut_along(base, offsets), z)]


def _gathered_column(leaf: Perturbed, params: dict[str, Any]) -> int | None:
    """Which number of an index counts entries of an axis; None if there is not exactly one.

    Where a slice has the whole length of an axis, its index is moved to 0, whatever it is: so
    `vmap` of a dynamic slice names all axes. (Unless what is outside is filled in.)
    """
    numbers, sizes, shape = params["dimension_numbers"], params["slice_sizes"], leaf.base.shape
    fills = params["mode"] is jax.lax.GatherScatterMode.FILL_OR_DROP
    indexed = [
        column
        for column, axis in enumerate(numbers.start_index_map)
        if fills or sizes[axis] != shape[axis]
    ]
    if not indexed:  # an axis with one entry
        indexed = list(range(len(numbers.start_index_map)))
    if numbers.operand_batching_dims or len(indexed) != 1 or not leaf.base.size:
        return None
    axis = numbers.start_index_map[indexed[0]]
    whole = (*shape[:axis], 1, *shape[axis + 1 :])
    if not set(numbers.collapsed_slice_dims) <= {axis} or tuple(sizes) != whole:
        return None
    return indexed[0]
