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
      generate: (the leaf's key or one for each row, numbers of the rows, row width, first entry or
        None) -> random numbers, one entry a row. With a first entry (`has_columns` says whether
        the generator has it), those of a part of the rows, as wide as is said.
      expand: (random numbers, row width) -> the rows, float32, (rows, width).
      packed: whether the random numbers are smaller than the rows, and worth keeping.
    """

    generate: Callable[[Key, jax.Array, int, jax.Array | int | None], jax.Array]
    expand: Callable[[jax.Array, int], jax.Array]
    packed: bool


def _normal(
    keys: Key, rows: jax.Array, width: int, first: jax.Array | int | None = None
) -> jax.Array:
    return normal(row_bits(keys, rows, width, first))


def _words(
    keys: Key, rows: jax.Array, width: int, first: jax.Array | int | None = None
) -> jax.Array:
    count = -(-width // 32)
    if first is None:
        return row_bits(keys, rows, count)[..., None]
    first = jax.lax.convert_element_type(first, jnp.uint32)
    words, bit = row_bits(keys, rows, count + 1, first // 32), first % 32
    # The bits from that of the first entry on. A shift by 32 is not defined.
    return ((words[:, :-1] >> bit) | (words[:, 1:] << 1 << (31 - bit)))[..., None]


def _signs(words: jax.Array, width: int) -> jax.Array:
    # Bit b of a word moves to the sign bit of 1.0: cheaper than converting it to a float. It is
    # shifted by a bare iota: any other table is moved out of a loop, and read back in its body.
    sign = (words >> jnp.arange(32, dtype=jnp.uint32)) << jnp.uint32(31)
    ones = jax.lax.bitcast_convert_type(jnp.float32(1), jnp.uint32)
    signs = jax.lax.bitcast_convert_type(sign | ones, jnp.float32)
    return signs.reshape(*words.shape[:-2], 32 * words.shape[-2])[..., :width]


GAUSSIAN = Law(_normal, lambda rows, width: rows, packed=False)
RADEMACHER = Law(_words, _signs, packed=True)
