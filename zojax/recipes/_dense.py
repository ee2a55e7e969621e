"""The recipe of a dense direction of one leaf: noise addressed by row."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from zojax._schedule import draw_after, hidden_slicer
from zojax._trees import static, tree_dataclass
from zojax._typing import Key
from zojax.noise import Law, has_columns


@tree_dataclass
class Dense:
    """z of one leaf: a key and a law, drawn row by row; nothing of the leaf's size is stored.

    A row runs along one axis (the leaf's last); the others are numbered through in C order, and
    row i is drawn from (key, i) alone, its entry j, with threefry2x32, from (key, i, j). A part of
    the leaf (a slice, a gathered row, one layer of a stack, one shard) is again a `Dense` that
    names the same rows, so its values are the same.

    Attributes:
      key: the leaf's key, shape ().
      scale: what the law is multiplied with, shape (), float32.
      start: number of the first row, shape (), int32.
      law: the law of the entries.
      axes: for every axis, by how many rows it steps; None for the axis that a row runs along.
      column: number of the first entry of a row, shape (), int32; None in whole rows.
    """

    key: Key
    scale: jax.Array
    start: jax.Array
    law: Law = static()
    axes: tuple[int | None, ...] = static()
    column: jax.Array | None = None

    @classmethod
    def of(
        cls, shape: Sequence[int], key: Key, law: Law, scale: jax.Array | float = 1.0
    ) -> "Dense":
        """The recipe of a whole leaf of this shape."""
        steps = tuple(math.prod(shape[axis + 1 : -1]) for axis in range(len(shape) - 1))
        axes = (*steps, None) if shape else ()
        return cls(key, jnp.float32(scale), jnp.int32(0), law, axes)

    @property
    def packed(self) -> bool:
        """Whether what is random is smaller than z, and worth a buffer of its own."""
        return self.law.packed

    @property
    def divisible(self) -> tuple[bool, ...]:
        """Along every axis; along rows if the generator can start inside them."""
        in_rows = has_columns(self.key)
        return tuple(in_rows if step is None else True for step in self.axes)

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32; with a datum, drawn when that is known.

        For several starts at once, their shape comes first: (*starts, *shape).
        """
        shape, starts = tuple(shape), jnp.shape(self.start)
        numbers = _numbers(self.key, self.start, self.column, datum, self.law, shape, self.axes)
        width = _width(shape, self.axes)
        z = self.scale * self.law.expand(numbers, width)
        if None not in self.axes:
            return z.reshape(*starts, *shape)
        along = self.axes.index(None)
        z = z.reshape(*starts, *shape[:along], *shape[along + 1 :], width)
        return jnp.moveaxis(z, -1, len(starts) + along)

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array | None:
        """Returns the entries `index` of an axis of z, which has this shape: (*index, other axes).

        Only the rows named are drawn; None if a row runs along this axis.
        """
        if (stride := self.axes[axis]) is None:
            return None
        others = (*self.axes[:axis], *self.axes[axis + 1 :])
        taken = self._at(self.start + stride * index, others)
        return taken.draw((*shape[:axis], *shape[axis + 1 :]), datum)

    # What follows keeps a part of a leaf, or a leaf seen otherwise, a recipe. An operation that
    # cuts through rows returns None: the caller then draws the leaf.

    def transpose(self, permutation: Sequence[int]) -> "Dense":
        return self._at(self.start, tuple(self.axes[axis] for axis in permutation))

    def squeeze(self, axis: int) -> "Dense":
        """Drops an axis of length 1."""
        return self._at(self.start, self.axes[:axis] + self.axes[axis + 1 :])

    def expand(self, axis: int) -> "Dense":
        """Inserts an axis of length 1."""
        return self._at(self.start, (*self.axes[:axis], 0, *self.axes[axis:]))

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1
    ) -> "Dense | None":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        del length
        if (stride := self.axes[axis]) is None:
            return self._from_column(first) if step == 1 and has_columns(self.key) else None
        axes = (*self.axes[:axis], stride * step, *self.axes[axis + 1 :])
        return self._at(self.start + stride * first, axes)

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
            None if self.column is None else jnp.broadcast_to(self.column, (length,)),
        )

    def _at(self, start: jax.Array, axes: tuple[int | None, ...]) -> "Dense":
        return Dense(self.key, self.scale, start, self.law, axes, self.column)

    def _from_column(self, first: jax.Array | int) -> "Dense":
        before = 0 if self.column is None else self.column
        return dataclasses.replace(self, column=jnp.int32(before + first))


# Traced once for all leaves that are alike, and compiled for each.
@functools.partial(jax.jit, static_argnames=("law", "shape", "axes"))
def _numbers(
    key: Key,
    start: jax.Array,
    column: jax.Array | None,
    datum: jax.Array | None,
    law: Law,
    shape: tuple[int, ...],
    axes: tuple[int | None, ...],
) -> jax.Array:
    """The random numbers of all rows, which are counted from each of the starts."""

    def generate(key: Key) -> jax.Array:
        # Numbered in here, where it is part of the draw; outside it would be a buffer.
        rows = start
        for n, step in zip(shape, axes, strict=True):
            if step is not None:
                rows = rows[..., None] + step * jnp.arange(n, dtype=jnp.int32)
        return law.generate(key, rows.reshape(-1), _width(shape, axes), column)

    return generate(key) if datum is None else draw_after(generate, key, datum)


def _width(shape: tuple[int, ...], axes: tuple[int | None, ...]) -> int:
    """Entries of a row."""
    return shape[axes.index(None)] if None in axes else 1


def dense_recipes(law: Law, keys: Key, shapes: Sequence[tuple[int, ...]]) -> tuple[Dense, ...]:
    """One recipe for each leaf, `keys` being theirs."""
    cut, generator = hidden_slicer(jax.random.key_data(keys)), jax.random.key_impl(keys)
    each = [jax.random.wrap_key_data(cut(i, 1)[0], impl=generator) for i in range(len(shapes))]
    return tuple(Dense.of(shape, key, law) for shape, key in zip(shapes, each, strict=True))
