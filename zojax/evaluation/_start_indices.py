"""Where slices and gathers start is said by signed integers."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend import core

_LARGEST = np.iinfo(np.int32).max
# The operands that say where.
_STARTS = {
    "gather": slice(1, 2),
    "scatter": slice(1, 2),
    "dynamic_slice": slice(1, None),
    "dynamic_update_slice": slice(2, None),
}


def with_signed_starts(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """The operands of an equation; those that say where it starts are signed.

    XLA reads an unsigned constant with its highest bit set as negative, which is then moved to 0:
    `jax.jit(lambda w: jax.lax.dynamic_slice(w, (np.uint8(200), np.uint8(0)), (1, 2)))` gives the
    first row of 256 on jax 0.10.2 to 0.12.0.1. An index that a loss hands to a nested jit, as
    `jnp.take` is one, becomes such a constant where that is inlined. To be dropped when that line
    gives row 200.
    """
    name = eqn.primitive.name
    where = _STARTS.get("scatter" if name.startswith("scatter") else name)
    if where is None or max(eqn.invars[0].aval.shape, default=0) > _LARGEST:
        return operands
    operands = list(operands)
    operands[where] = map(_signed, operands[where], eqn.invars[where])
    return operands


def _signed(start: Any, atom: Any) -> Any:
    if not jnp.issubdtype(atom.aval.dtype, jnp.unsignedinteger):
        return start
    if np.iinfo(atom.aval.dtype).max > _LARGEST:  # which is outside of every axis
        start = jnp.minimum(start, np.array(_LARGEST, atom.aval.dtype))
    return jnp.asarray(start, jnp.int32)
