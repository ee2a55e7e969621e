"""The recipe of a direction of one leaf that is noise with signs flipped by row and column."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from zojax._trees import tree_dataclass
from zojax.recipes._dense import Dense
from zojax.recipes._low_rank import LowRank
from zojax.recipes._precomputed import Precomputed


@tree_dataclass
class Flipped:
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

    # As with `Dense`, a part of the leaf is again a recipe, or None.

    def transpose(self, permutation: Sequence[int]) -> "Flipped":
        return self._each(lambda part: part.transpose(permutation))

    def squeeze(self, axis: int) -> "Flipped":
        """Drops an axis of length 1."""
        return self._each(lambda part: part.squeeze(axis))

    def expand(self, axis: int) -> "Flipped":
        """Inserts an axis of length 1."""
        return self._each(lambda part: part.expand(axis))

    def split(self, axis: int, inner: int) -> "Flipped | None":
        """An axis as two, of which the second one has `inner` entries."""
        return self._each(lambda part: part.split(axis, inner))

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "Flipped | None":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        return self._each(lambda part: part.slice(axis, first, length, step, divisor=divisor))

    def unstack(self, length: int) -> "Flipped | None":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        return self._each(lambda part: part.unstack(length))

    def _each(self, fn: Callable[[Any], Any]) -> "Flipped | None":
        noise = fn(self.noise)
        return None if noise is None else Flipped(noise, fn(self.signs))
