"""Laws of the entries of a dense direction. All have mean 0 and covariance I.

A law is drawn row by row: row i of a leaf depends on the leaf's key and i alone, so any part of the
leaf can be drawn by itself with the same values.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zojax._hold import hold
from zojax._mesh import replicated
from zojax._random import row_bits
from zojax._typing import Key
from zojax.directions._cut import cutter
from zojax.directions._normal import normal


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


# Larger arrays are drawn by themselves: cutting them out of a common buffer would copy them.
_ALONE = 1 << 16
# The entries of a row that is no wider are read side by side where they are used (the factors of a
# low rank, for every token), and that loop is only vectorized if the compiler knows their place.
_NARROW = 8


def draw_arrays(law: Law, keys: Key, shapes: Sequence[tuple[int, ...]]) -> list[jax.Array]:
    """Arrays of these shapes from a law, float32, one from each of `keys`.

    Row i of an array (its last axis) is that of (its key, i). Rows of one width are drawn side by
    side, whatever their arrays: one compiled draw serves them all.
    """
    arrays: list[jax.Array] = [jnp.zeros(shape, jnp.float32) for shape in shapes]
    for places in _groups(shapes):
        width = shapes[places[0]][-1] if shapes[places[0]] else 1
        counts = [math.prod(shapes[place][:-1]) for place in places]
        ends = np.cumsum(counts)
        # Rows are numbered on the device; a table of them would be a constant of the program.
        row = jnp.arange(ends[-1], dtype=jnp.int32)
        owner = jnp.searchsorted(jnp.array(ends, jnp.int32), row, "right")
        first = jnp.array(ends - counts, jnp.int32)
        row = row - first[owner]
        of_row = keys[jnp.array(places)[owner]]

        def draw(keys: Key, row: jax.Array = row, width: int = width) -> jax.Array:
            return law.expand(law.generate(keys, row, width), width)

        rows = replicated(hold(draw, of_row, jax.random.key_data(of_row)))
        cut = _slicer(rows) if 1 < width <= _NARROW else cutter(rows)
        for place, end, count in zip(places, ends, counts, strict=True):
            arrays[place] = replicated(cut(end - count, count).reshape(shapes[place]))
    return arrays


def _slicer(array: jax.Array) -> Callable[[int, int], jax.Array]:
    """What `cutter` returns, with the places in sight."""
    return lambda start, length: array[start : start + length]


def _groups(shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """The places of arrays that are drawn together: those of one width, and large ones alone."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, shape in enumerate(shapes):
        width = shape[-1] if shape else 1
        alone = (place,) if math.prod(shape) > _ALONE else ()
        groups.setdefault((width, *alone), []).append(place)
    return list(groups.values())
