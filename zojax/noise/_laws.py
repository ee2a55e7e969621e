"""Laws of the entries of a dense direction. All have mean 0 and covariance I.

A law is drawn row by row: row i of a leaf depends on the leaf's key and i alone, so any part of the
leaf can be drawn by itself with the same values.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zojax._typing import Key
from zojax.noise._generator import row_bits
from zojax.noise._normal import normal


class Law(NamedTuple):
    """How rows are drawn, in two halves, so that what is random can be kept packed.

    Attributes:
      generate: (the leaf's key or one for each row, numbers of the rows, row width) -> random
        numbers, one entry a row.
      expand: (random numbers, row width) -> the rows, float32, (rows, width).
      packed: whether the random numbers are smaller than the rows, and worth keeping.
    """

    generate: Callable[[Key, jax.Array, int], jax.Array]
    expand: Callable[[jax.Array, int], jax.Array]
    packed: bool


def _normal(keys: Key, rows: jax.Array, width: int) -> jax.Array:
    return normal(row_bits(keys, rows, width))


def _words(keys: Key, rows: jax.Array, width: int) -> jax.Array:
    return row_bits(keys, rows, -(-width // 32))[..., None]


def _signs(words: jax.Array, width: int) -> jax.Array:
    # Bit b of a word moves to the sign bit of 1.0: cheaper than converting it to a float. It is
    # shifted by a bare iota: any other table is moved out of a loop, and read back in its body.
    sign = (words >> jnp.arange(32, dtype=jnp.uint32)) << jnp.uint32(31)
    ones = jax.lax.bitcast_convert_type(jnp.float32(1), jnp.uint32)
    signs = jax.lax.bitcast_convert_type(sign | ones, jnp.float32)
    return signs.reshape(*words.shape[:-2], 32 * words.shape[-2])[..., :width]


GAUSSIAN = Law(_normal, lambda rows, width: rows, packed=False)
RADEMACHER = Law(_words, _signs, packed=True)
