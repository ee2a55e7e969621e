"""Small arrays of noise, drawn side by side."""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from zojax import _thresholds
from zojax._mesh import replicated
from zojax._schedule import draw_after, hidden_slicer
from zojax._typing import Key
from zojax.noise._laws import Law


def draw_arrays(law: Law, keys: Key, shapes: Sequence[tuple[int, ...]]) -> list[jax.Array]:
    """Arrays of these shapes from a law, float32, one from each of `keys`.

    Row i of an array (its last axis) is that of (its key, i). Rows of one width are drawn side by
    side, whatever their arrays: one compiled draw serves them all.
    """
    arrays: list[jax.Array] = [jnp.zeros(shape, jnp.float32) for shape in shapes]
    for places in _groups(shapes):
        width = shapes[places[0]][-1] if shapes[places[0]] else 1
        counts = tuple(math.prod(shapes[place][:-1]) for place in places)
        rows = replicated(_draw_rows(keys, law, places, counts, width))
        narrow = 1 < width <= _thresholds.NARROW_ROW
        cut = _slicer(rows) if narrow else hidden_slicer(rows)
        ends = np.cumsum(counts)
        for place, end, count in zip(places, ends, counts, strict=True):
            arrays[place] = replicated(cut(end - count, count).reshape(shapes[place]))
    return arrays


# Traced once for all directions of a model.
@functools.partial(jax.jit, static_argnames=("law", "places", "counts", "width"))
def _draw_rows(
    keys: Key, law: Law, places: tuple[int, ...], counts: tuple[int, ...], width: int
) -> jax.Array:
    """So many rows from each of the keys at these places, one below the other."""
    ends = np.cumsum(counts)
    # Rows are numbered on the device; a table of them would be a constant of the program.
    row = jnp.arange(ends[-1], dtype=jnp.int32)
    owner = jnp.searchsorted(jnp.array(ends, jnp.int32), row, "right")
    first = jnp.array(ends - np.array(counts), jnp.int32)
    row = row - first[owner]
    of_row = keys[jnp.array(places)[owner]]

    def draw(keys: Key) -> jax.Array:
        return law.expand(law.generate(keys, row, width), width)

    return draw_after(draw, of_row, jax.random.key_data(of_row))


def _slicer(array: jax.Array) -> Callable[[int, int], jax.Array]:
    """What `hidden_slicer` returns, with the places in sight."""
    return lambda start, length: array[start : start + length]


def _groups(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The places of arrays that are drawn together: those of one width, and large ones alone.

    Arrays without entries are in no group.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, shape in enumerate(shapes):
        width = shape[-1] if shape else 1
        alone = (place,) if math.prod(shape) > _thresholds.DRAWN_ALONE else ()
        if math.prod(shape):
            groups.setdefault((width, *alone), []).append(place)
    return [tuple(places) for places in groups.values()]
