"""The recipe of a dense direction of one leaf: noise addressed by row."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._schedule import draw_after, hidden_slicer, make_after
from zojax._trees import static, tree_dataclass
from zojax._typing import Key
from zojax.noise import Law, has_columns
from zojax.recipes._row_groups import RowGroups, group_rows


@tree_dataclass
class Dense:
    """z of one leaf: a key and a law, drawn in groups of rows; nothing of its size is stored.

    A row runs along one axis (the leaf's last); the others are numbered through in C order. Entry j
    of row i depends on (key, i, j) alone (see `noise._laws`). A part of the leaf (a slice, a
    gathered row, one layer of a stack, one shard) is again a `Dense` that names the same rows, so
    its values are the same.

    Attributes:
      key: the leaf's key, shape ().
      scale: what the law is multiplied with, shape (), float32.
      start: number of the first row, shape (), int32.
      law: the law of the entries.
      axes: for every axis, by how many rows it steps; None for the axis that a row runs along.
      divisor: a divisor of `start`, 0 if that is 0: rows that begin where a group does are drawn
        for less.
      column: number of the first entry of a row, shape (), int32; None in whole rows.
    """

    key: Key
    scale: jax.Array
    start: jax.Array
    law: Law = static()
    axes: tuple[int | None, ...] = static()
    divisor: int = static(default=1)
    column: jax.Array | None = None

    @classmethod
    def of(
        cls, shape: Sequence[int], key: Key, law: Law, scale: jax.Array | float = 1.0
    ) -> "Dense":
        """The recipe of a whole leaf of this shape."""
        steps = tuple(math.prod(shape[axis + 1 : -1]) for axis in range(len(shape) - 1))
        axes = (*steps, None) if shape else ()
        return cls(key, jnp.float32(scale), jnp.int32(0), law, axes, divisor=0)

    @property
    def grains(self) -> tuple[int, ...]:
        """Whole units of rows along every axis; 0 along rows if none can be begun in the middle."""
        in_rows, unit = int(has_columns(self.key)), self.law.unit
        return tuple(
            in_rows if step is None else unit // math.gcd(unit, step) for step in self.axes
        )

    def held_bits(self, shape: Sequence[int]) -> int:
        """Random bits that z of this shape is made of, an entry; 0 where rows are drawn alone."""
        return self.law.bits if self._groups(tuple(shape)) else 0

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32.

        With a datum, what is random is drawn when that is known, and kept; without, it is drawn for
        every entry anew, and z fuses with what reads it.

        For several starts at once, their shape comes first: (*starts, *shape).
        """
        shape = tuple(shape)
        if datum is None:
            return self.scale * self._rows_alone(self.key, shape)
        return self.read(self.numbers_after(shape, datum), shape)

    def draw_held(self, shape: Sequence[int], datum: jax.Array) -> jax.Array:
        """Returns z of this shape, float32, as one buffer, drawn when the datum is known."""
        shape = tuple(shape)
        if 0 < self.held_bits(shape) <= _thresholds.HELD_BITS:
            words = self.numbers_after(shape, datum)
            return make_after(lambda words: self.read(words, shape), words, words[0])

        def draw(key: Key) -> jax.Array:
            return dataclasses.replace(self, key=key).draw(shape)

        return draw_after(draw, self.key, datum)

    def numbers(self, shape: Sequence[int]) -> Any:
        """What is random in z of this shape, as it is kept: words of groups, or entries."""
        return self._numbers(self.key, tuple(shape))

    def numbers_after(self, shape: Sequence[int], datum: jax.Array) -> Any:
        """The same, drawn when the datum is known, and kept."""
        return _numbers_after(self, datum, tuple(shape))

    def read(self, numbers: Any, shape: Sequence[int]) -> jax.Array:
        """Z of this shape, float32, from its numbers."""
        if isinstance(numbers, tuple):
            numbers = self._taken_out(numbers, tuple(shape))
        return self.scale * numbers

    def _numbers(self, key: Key, shape: tuple[int, ...]) -> Any:
        groups = self._groups(shape)
        if groups is None:
            return self._rows_alone(key, shape)
        numbers = groups.numbers(self.start, self.law)
        return self.law.call(key, numbers, self._width(shape), self.column)

    def _rows_alone(self, key: Key, shape: tuple[int, ...]) -> jax.Array:
        """The entries, row by row: a call of the cipher for each."""
        rows = self.start
        for axis in self._row_axes(shape):
            rows = rows[..., None] + self.axes[axis] * jnp.arange(shape[axis], dtype=jnp.int32)
        return self._arranged(self.law.draw_rows(key, rows, self._width(shape), self.column), shape)

    def _taken_out(self, words: tuple[jax.Array, jax.Array], shape: tuple[int, ...]) -> jax.Array:
        """The entries, from the words of groups."""
        inner = shape[self._row_axes(shape)[-1]]
        rows = self._groups(shape).taken_out(words, self.start, self.law, inner)
        return self._arranged(rows, shape)

    def _arranged(self, rows: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Entries (*starts, *axes of rows by falling steps, entries of a row), as the leaf lies."""
        starts, order = jnp.shape(self.start), list(self._row_axes(shape))
        lengths = [shape[axis] for axis in order]
        if None in self.axes:
            order.append(self.axes.index(None))
            lengths.append(self._width(shape))
        leading = range(len(starts))
        places = sorted(range(len(order)), key=order.__getitem__)
        entries = rows.reshape(*starts, *lengths)
        entries = entries.transpose(*leading, *(len(starts) + place for place in places))
        return entries.reshape(*starts, *shape)

    def _groups(self, shape: tuple[int, ...]) -> RowGroups | None:
        axes = [(shape[axis], self.axes[axis]) for axis in self._row_axes(shape)]
        return group_rows(axes, self.divisor, self.law, several=bool(jnp.shape(self.start)))

    def _row_axes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Those that count rows, and more than one, by falling steps."""
        steps = {axis: step for axis, step in enumerate(self.axes) if step is not None}
        axes = [axis for axis in steps if shape[axis] != 1]
        return tuple(sorted(axes, key=lambda axis: -steps[axis]))

    def _width(self, shape: tuple[int, ...]) -> int:
        """Entries of a row."""
        return shape[self.axes.index(None)] if None in self.axes else 1

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array | None:
        """Returns the entries `index` of an axis of z, which has this shape: (*index, other axes).

        Only the rows named are drawn; None if a row runs along this axis.
        """
        if (stride := self.axes[axis]) is None:
            return None
        others = (*self.axes[:axis], *self.axes[axis + 1 :])
        divisor = math.gcd(self.divisor, stride)
        taken = self._at(self.start + stride * index, others, divisor)
        return taken.draw((*shape[:axis], *shape[axis + 1 :]), datum)

    # What follows keeps a part of a leaf, or a leaf seen otherwise, a recipe. An operation that
    # cuts through rows returns None: the caller then draws the leaf.

    def transpose(self, permutation: Sequence[int]) -> "Dense":
        return self._with_axes(tuple(self.axes[axis] for axis in permutation))

    def squeeze(self, axis: int) -> "Dense":
        """Drops an axis of length 1."""
        return self._with_axes(self.axes[:axis] + self.axes[axis + 1 :])

    def expand(self, axis: int) -> "Dense":
        """Inserts an axis of length 1."""
        return self._with_axes((*self.axes[:axis], 0, *self.axes[axis:]))

    def split(self, axis: int, inner: int) -> "Dense | None":
        """An axis as two, of which the second one has `inner` entries."""
        if (step := self.axes[axis]) is None:
            return None
        return self._with_axes((*self.axes[:axis], step * inner, *self.axes[axis:]))

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "Dense | None":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        del length
        if (stride := self.axes[axis]) is None:
            return self._from_column(first) if step == 1 and has_columns(self.key) else None
        axes = (*self.axes[:axis], stride * step, *self.axes[axis + 1 :])
        divisor = first if isinstance(first, int) else divisor
        return self._at(self.start + stride * first, axes, math.gcd(self.divisor, stride * divisor))

    def unstack(self, length: int) -> "Dense | None":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        if not self.axes or (stride := self.axes[0]) is None:
            return None
        return Dense(
            jnp.broadcast_to(self.key, (length,)),
            jnp.broadcast_to(self.scale, (length,)),
            self.start + stride * jnp.arange(length, dtype=jnp.int32),
            self.law,
            self.axes[1:],
            math.gcd(self.divisor, stride),
            None if self.column is None else jnp.broadcast_to(self.column, (length,)),
        )

    def _at(self, start: jax.Array, axes: tuple[int | None, ...], divisor: int) -> "Dense":
        return dataclasses.replace(self, start=start, axes=axes, divisor=divisor)

    def _with_axes(self, axes: tuple[int | None, ...]) -> "Dense":
        return dataclasses.replace(self, axes=axes)

    def _from_column(self, first: jax.Array | int) -> "Dense":
        before = 0 if self.column is None else self.column
        return dataclasses.replace(self, column=jnp.int32(before + first))


# Traced once for all leaves that are alike, and compiled for each.
@functools.partial(jax.jit, static_argnames="shape")
def _numbers_after(recipe: Dense, datum: jax.Array, shape: tuple[int, ...]) -> Any:
    # Numbers of many bits are taken out of their words once, for all that read them.
    numbers = draw_after(lambda key: recipe._numbers(key, shape), recipe.key, datum)
    if isinstance(numbers, tuple) and recipe.law.bits > _thresholds.HELD_BITS:
        return make_after(lambda words: recipe._taken_out(words, shape), numbers, numbers[0])
    return numbers


def dense_recipes(law: Law, keys: Key, shapes: Sequence[tuple[int, ...]]) -> tuple[Dense, ...]:
    """One recipe for each leaf, `keys` being theirs."""
    cut, generator = hidden_slicer(jax.random.key_data(keys)), jax.random.key_impl(keys)
    each = [jax.random.wrap_key_data(cut(i, 1)[0], impl=generator) for i in range(len(shapes))]
    return tuple(Dense.of(shape, key, law) for shape, key in zip(shapes, each, strict=True))
