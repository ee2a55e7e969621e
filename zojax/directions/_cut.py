"""Parts of a common buffer, cut out so that what is done with them compiles once.

XLA compiles loops that are alike once for a whole program: those of the layers of a model, unless
each has the place of its part of a buffer that they share written into it. So the places are read
from tables, which XLA hands to a loop beside its data.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from zojax._hold import known


def cutter(array: jax.Array) -> Callable[[int, int], jax.Array]:
    """Returns `(start, length) -> array[start : start + length]`."""
    # Always 1, but the compiler cannot say so.
    middle = known(array).astype(jnp.uint32)

    def cut(start: int, length: int) -> jax.Array:
        # A shorter table, or one in order, would be computed in place, the start written into it.
        table = jnp.array([start + 1, start, start + 1], jnp.uint32)
        first = jax.lax.dynamic_index_in_dim(table, middle, keepdims=False)
        return jax.lax.dynamic_slice_in_dim(array, first, length)

    return cut
