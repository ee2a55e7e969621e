"""Rows of a leaf, or of a part of it, by the groups that they are drawn in (see `noise._laws`)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zojax.noise import Law


class RowGroups(NamedTuple):
    """Runs of adjacent rows, one for every index of some outer axes, and the groups they lie in.

    Attributes:
      outer: of each outer axis its length, and by how many rows it steps.
      length: rows of a run.
      count: groups that hold a run, wherever in the first of them it begins.
      divisor: a divisor of the number of the first row of every run; 0 if that is 0.
    """

    outer: tuple[tuple[int, int], ...]
    length: int
    count: int
    divisor: int

    def numbers(self, start: jax.Array, law: Law) -> jax.Array:
        """Those of the groups, (*shape of start, *outer axes, count), int32."""
        first = start // law.rows
        for length, step in self.outer:
            first = first[..., None] + step // law.rows * jnp.arange(length, dtype=jnp.int32)
        return first[..., None] + jnp.arange(self.count, dtype=jnp.int32)

    def taken_out(
        self, words: tuple[jax.Array, jax.Array], start: jax.Array, law: Law, inner: int
    ) -> jax.Array:
        """The rows from the words of the groups: (..., groups, width) -> (..., length, width).

        Args:
          words: of the groups that `numbers` names.
          start: number of the first row.
          law: the law.
          inner: length of the innermost axis of the run. If it is whole units, the axes of the run
            stay apart, (..., rest, inner, width): for a TPU, entries are not to be moved behind the
            last step.
        """
        offset = start % law.rows if self.divisor % law.rows else 0
        in_units = self.divisor % law.unit == 0
        count = _covering(self.length, self.divisor, law.unit)
        units = tuple(_part(unit, offset // law.unit, count) for unit in law.units(words))
        if in_units and inner % law.unit == 0:
            *outer, _, width = units[0].shape
            apart = (*outer, self.length // inner, inner // law.unit, width)
            return law.entries(tuple(unit.reshape(apart) for unit in units))
        return _part(law.entries(units), 0 if in_units else offset % law.unit, self.length)


def group_rows(
    axes: Sequence[tuple[int, int]], divisor: int, law: Law, *, several: bool
) -> RowGroups | None:
    """The groups of the rows of some axes; None if each row is better drawn by itself.

    Args:
      axes: of each its length, and by how many rows it steps, the largest step first.
      divisor: a divisor of the number of the first row, 0 if that is 0.
      law: the law.
      several: whether there are several first rows.
    """
    run, found = 1, None
    for place in reversed(range(len(axes))):
        length, step = axes[place]
        if step != run:
            break
        run *= length
        outer = tuple(axes[:place])
        of_run = math.gcd(divisor, *(step for _, step in outer))
        in_groups = of_run % law.rows == 0
        # Runs that begin at different places of their groups would be cut out one by one.
        if in_groups or not (outer or several):
            found = RowGroups(outer, run, _covering(run, of_run, law.rows), of_run)
        if in_groups and run % law.rows == 0:
            break
    return found if found is not None and found.count < found.length else None


def _covering(length: int, divisor: int, rows: int) -> int:
    """Groups of so many rows that hold a run of this length, of whose first row there is a divisor.

    Its place in the first group is the worst for it.
    """
    latest = rows - math.gcd(divisor, rows)
    return -(-(latest + length) // rows)


def _part(array: jax.Array, first: jax.Array | int, length: int) -> jax.Array:
    """`length` entries of the last axis but one."""
    axis = array.ndim - 2
    if isinstance(first, int):
        return jax.lax.slice_in_dim(array, first, first + length, axis=axis)
    return jax.lax.dynamic_slice_in_dim(array, first, length, axis)
