"""The recipe of a direction of one leaf that is a sum: z = Σ_i z_i, each by a recipe of its own."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax

from zojax._trees import tree_dataclass
from zojax.recipes._dense import Dense
from zojax.recipes._low_rank import LowRank
from zojax.recipes._precomputed import Precomputed


@tree_dataclass
class Sum:
    """z of one leaf, the sum of what its parts draw: dense noise with a correction of low rank.

    Where every part can be cut, so can the sum; else the caller draws the leaf.

    Attributes:
      parts: recipes of the leaf, of one kind or several.
    """

    parts: tuple[Dense | Precomputed | LowRank, ...]

    @property
    def grains(self) -> tuple[int, ...]:
        """Multiples of those of all parts; 0 where a part cannot be cut."""
        return tuple(math.lcm(*axis) for axis in zip(*(p.grains for p in self.parts), strict=True))

    def held_bits(self, shape: Sequence[int]) -> int:
        return sum(part.held_bits(shape) for part in self.parts)

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32; with a datum, drawn when that is known."""
        return sum(part.draw(shape, datum) for part in self.parts)

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array | None:
        """Returns the entries `index` of an axis of z: (*index, other axes)."""
        taken = [part.draw_taken(axis, index, shape, datum) for part in self.parts]
        return None if any(z is None for z in taken) else sum(taken)

    # As with `Dense`, a part of the leaf is again a recipe, or None.

    def transpose(self, permutation: Sequence[int]) -> "Sum":
        return self._each(lambda part: part.transpose(permutation))

    def squeeze(self, axis: int) -> "Sum":
        """Drops an axis of length 1."""
        return self._each(lambda part: part.squeeze(axis))

    def expand(self, axis: int) -> "Sum":
        """Inserts an axis of length 1."""
        return self._each(lambda part: part.expand(axis))

    def split(self, axis: int, inner: int) -> "Sum | None":
        """An axis as two, of which the second one has `inner` entries."""
        return self._each(lambda part: part.split(axis, inner))

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "Sum | None":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        return self._each(lambda part: part.slice(axis, first, length, step, divisor=divisor))

    def unstack(self, length: int) -> "Sum | None":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        return self._each(lambda part: part.unstack(length))

    def _each(self, fn: Callable[[Any], Any]) -> "Sum | None":
        parts = tuple(fn(part) for part in self.parts)
        return None if any(part is None for part in parts) else Sum(parts)
