"""The recipe of a direction of one leaf that is noise with signs flipped by row and column."""

from collections.abc import Sequence

import jax

from zojax._trees import tree_dataclass
from zojax.recipes._dense import Dense
from zojax.recipes._low_rank import LowRank
from zojax.recipes._of_parts import OfParts
from zojax.recipes._precomputed import Precomputed


@tree_dataclass
class Flipped(OfParts):
    """z = U ∘ (s tᵀ) of one leaf seen as a matrix, s and t of signs.

    Directions of several queries may differ by their signs alone. A product x · z of one is
    ((x ∘ s) · U) ∘ t, so all of them share the product with U, and its draw.

    Attributes:
      noise: the recipe of U.
      signs: s and t as the factors of s tᵀ; of a sum of such directions Σ_k c_k s_k t_kᵀ.
    """

    noise: Dense | Precomputed
    signs: LowRank

    @property
    def grains(self) -> tuple[int, ...]:
        """Those of the noise."""
        return self.noise.grains

    def held_bits(self, shape: Sequence[int]) -> int:
        return self.noise.held_bits(shape)

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32; with a datum, drawn when that is known."""
        return self.noise.draw(shape, datum) * self.signs.draw(shape, datum)

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array | None:
        """Returns the entries `index` of an axis of z: (*index, other axes)."""
        taken = self.noise.draw_taken(axis, index, shape, datum)
        return None if taken is None else taken * self.signs.draw_taken(axis, index, shape, datum)
