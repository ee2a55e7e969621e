"""The recipe of a direction of one leaf that is a sum: z = Σ_i z_i, each by a recipe of its own."""

import math
from collections.abc import Sequence

import jax

from zojax._trees import tree_dataclass
from zojax.recipes._dense import Dense
from zojax.recipes._low_rank import LowRank
from zojax.recipes._of_parts import OfParts
from zojax.recipes._precomputed import Precomputed


@tree_dataclass
class Sum(OfParts):
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
