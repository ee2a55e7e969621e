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
    for places in _side_by_side(shapes, law):
        width = shapes[places[0]][-1] if shapes[places[0]] else 1
        counts = tuple(math.prod(shapes[place][:-1]) for place in places)
        grouped = _in_groups(shapes[places[0]], law)
        if grouped:
            # Every array begins with a group of its own.
            drawn = tuple(-(-count // law.rows) for count in counts)
            rows = _draw_groups(keys, law, places, drawn, width)
            ends = law.rows * np.cumsum(drawn)
            starts = ends - law.rows * np.array(drawn)
        else:
            rows = _draw_rows(keys, law, places, counts, width)
            ends = np.cumsum(counts)
            starts = ends - np.array(counts)
        rows = replicated(rows)
        in_sight, hidden = _slicer(rows), hidden_slicer(rows)
        for place, start, count in zip(places, starts.tolist(), counts, strict=True):
            cut = in_sight if _is_narrow(shapes[place]) else hidden
            arrays[place] = replicated(cut(start, count).reshape(shapes[place]))
    return arrays


# Both are traced once for all directions of a model.
@functools.partial(jax.jit, static_argnames=("law", "places", "counts", "width"))
def _draw_rows(
    keys: Key, law: Law, places: tuple[int, ...], counts: tuple[int, ...], width: int
) -> jax.Array:
    """So many rows from each of the keys at these places, one below the other."""
    of_row, row = _numbered(keys, places, counts)
    return draw_after(
        lambda of_row: law.draw_rows(of_row, row, width), of_row, jax.random.key_data(of_row)
    )


@functools.partial(jax.jit, static_argnames=("law", "places", "counts", "width"))
def _draw_groups(
    keys: Key, law: Law, places: tuple[int, ...], counts: tuple[int, ...], width: int
) -> jax.Array:
    """The same for so many groups of rows."""
    of_group, group = _numbered(keys, places, counts)

    def draw(of_group: Key) -> jax.Array:
        return law.entries(law.units(law.call(of_group, group, width)))

    return draw_after(draw, of_group, jax.random.key_data(of_group))


def _numbered(keys: Key, places: tuple[int, ...], counts: tuple[int, ...]) -> tuple[Key, jax.Array]:
    """The key and the number of every row (or group), `counts` of them for each place."""
    ends = np.cumsum(counts)
    # They are numbered on the device; a table would be a constant of the program.
    number = jnp.arange(ends[-1], dtype=jnp.int32)
    owner = jnp.searchsorted(jnp.array(ends, jnp.int32), number, "right")
    first = jnp.array(ends - np.array(counts), jnp.int32)
    return keys[jnp.array(places)[owner]], number - first[owner]


def _is_narrow(shape: tuple[int, ...]) -> bool:
    """Whether an array holds factors of a low rank, which lie along either of its last axes."""
    return any(1 < n <= _thresholds.NARROW_ROW for n in shape[-2:])


def _in_groups(shape: tuple[int, ...], law: Law) -> bool:
    """Whether the rows of an array are drawn in groups: where they fill one."""
    return math.prod(shape[:-1]) >= law.rows


def _slicer(array: jax.Array) -> Callable[[int, int], jax.Array]:
    """What `hidden_slicer` returns, with the places in sight."""
    return lambda start, length: array[start : start + length]


def _side_by_side(shapes: Sequence[tuple[int, ...]], law: Law) -> list[tuple[int, ...]]:
    """The places of arrays that are drawn together: those of one width, and large ones alone.

    Arrays without entries are nowhere.
    """
    together: dict[tuple, list[int]] = {}
    for place, shape in enumerate(shapes):
        width = shape[-1] if shape else 1
        alone = place if math.prod(shape) > _thresholds.DRAWN_ALONE else None
        if math.prod(shape):
            together.setdefault((width, _in_groups(shape, law), alone), []).append(place)
    return [tuple(places) for places in together.values()]
