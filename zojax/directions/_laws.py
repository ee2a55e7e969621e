"""Laws of the entries of a dense direction. All have mean 0 and covariance I.

A law is drawn row by row: row i of a leaf comes from fold_in(leaf key, i) alone, so any part of the
leaf can be drawn by itself with the same values.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zojax._hold import hold
from zojax._typing import Key


class Law(NamedTuple):
    """How rows are drawn, in two halves, so that what is random can be kept packed.

    Attributes:
      generate: (keys of the rows, row width) -> random numbers, one entry a row.
      expand: (random numbers, row width) -> the rows, float32, (rows, width).
      packed: whether the random numbers are smaller than the rows, and worth keeping.
    """

    generate: Callable[[Key, int], jax.Array]
    expand: Callable[[jax.Array, int], jax.Array]
    packed: bool


def _normal(keys: Key, width: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.normal(key, (width,), jnp.float32))(keys)


def _words(keys: Key, width: int) -> jax.Array:
    count = -(-width // 32)
    return jax.vmap(lambda key: jax.random.bits(key, (count, 1), jnp.uint32))(keys)


def _signs(words: jax.Array, width: int) -> jax.Array:
    # Bit b of a word moves to the sign bit of 1.0: cheaper than converting it to a float.
    sign = (words << (31 - jnp.arange(32, dtype=jnp.uint32))) & jnp.uint32(1 << 31)
    ones = jax.lax.bitcast_convert_type(jnp.float32(1), jnp.uint32)
    signs = jax.lax.bitcast_convert_type(sign | ones, jnp.float32)
    return signs.reshape(*words.shape[:-2], -1)[..., :width]


GAUSSIAN = Law(_normal, lambda rows, width: rows, packed=False)
RADEMACHER = Law(_words, _signs, packed=True)


def normal_arrays(keys: Key, shapes: Sequence[tuple[int, ...]]) -> list[jax.Array]:
    """N(0, I) arrays of these shapes, float32, one from each of `keys`.

    Row i of an array (its last axis) is drawn from fold_in(its key, i). Rows of one width are drawn
    side by side, whatever their arrays: one compiled draw serves them all.
    """
    arrays: list[jax.Array] = [jnp.zeros(shape, jnp.float32) for shape in shapes]
    for width in sorted({shape[-1] for shape in shapes}):
        places = [place for place, shape in enumerate(shapes) if shape[-1] == width]
        counts = [math.prod(shapes[place][:-1]) for place in places]
        ends = np.cumsum(counts)
        # Rows are numbered on the device; a table of them would be a constant of the program.
        row = jnp.arange(ends[-1], dtype=jnp.int32)
        owner = jnp.searchsorted(jnp.array(ends, jnp.int32), row, "right")
        first = jnp.array(ends - counts, jnp.int32)
        row = row - first[owner]
        of_row = keys[jnp.array(places)[owner]]

        def draw(keys: Key, row: jax.Array = row, width: int = width) -> jax.Array:
            return _normal(jax.vmap(jax.random.fold_in)(keys, row), width)

        rows = hold(draw, of_row, jax.random.key_data(of_row))
        for place, end, count in zip(places, ends, counts, strict=True):
            arrays[place] = rows[end - count : end].reshape(shapes[place])
    return arrays
