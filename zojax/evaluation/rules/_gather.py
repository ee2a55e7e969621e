"""Rule for gathered rows (an embedding): only their own noise is drawn."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._program import bind


def gather(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """Whole entries of one axis."""
    leaf, index = operands
    if not isinstance(leaf, Perturbed):
        return None
    leaf, index = leaf.settled(), jnp.asarray(index)
    numbers = eqn.params["dimension_numbers"]
    axis = _gathered_axis(leaf, numbers, eqn.params["slice_sizes"])
    if axis is None:
        return None
    last = leaf.base.shape[axis] - 1
    entries = index[..., 0].astype(jnp.promote_types(index.dtype, jnp.int32))
    inside = jnp.clip(entries, 0, last)
    z = leaf.recipe.draw_taken(axis, inside.astype(jnp.int32), leaf.base.shape, index)
    if z is None:
        return None
    if eqn.params["mode"] is jax.lax.GatherScatterMode.FILL_OR_DROP:
        # What is filled in is no entry of the leaf.
        is_entry = (inside == entries).reshape(*entries.shape, *(1,) * (leaf.ndim - 1))
        z = jnp.where(is_entry, z, 0)
    offsets = numbers.offset_dims
    z = jnp.moveaxis(z, range(z.ndim - len(offsets), z.ndim), offsets)
    (base,) = bind(eqn, [leaf.base, index])
    return [leaf.shifted(base, z)]


def _gathered_axis(leaf: Perturbed, numbers: Any, slice_sizes: Any) -> int | None:
    if numbers.operand_batching_dims or len(numbers.start_index_map) != 1:
        return None
    (axis,) = numbers.start_index_map
    whole = (*leaf.base.shape[:axis], 1, *leaf.base.shape[axis + 1 :])
    if numbers.collapsed_slice_dims != (axis,) or tuple(slice_sizes) != whole:
        return None
    return axis
