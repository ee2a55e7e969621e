"""The recipe of a direction of one leaf that is white noise over the root of a curvature."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from zojax._trees import tree_dataclass
from zojax.recipes._dense import Dense
from zojax.recipes._low_rank import LowRank
from zojax.recipes._precomputed import Precomputed


@tree_dataclass
class Preconditioned:
    """z = u / √h of one leaf, entry by entry. The root is taken where z is drawn.

    Attributes:
      noise: the recipe of u.
      curvature: the recipe of h, above 0; of rank 1 where rows and columns of it are known.
    """

    noise: Dense | Precomputed
    curvature: Precomputed | LowRank

    @property
    def grains(self) -> tuple[int, ...]:
        """Those of the noise."""
        return self.noise.grains

    def held_bits(self, shape: Sequence[int]) -> int:
        return self.noise.held_bits(shape)

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32; with a datum, its noise drawn when that is known."""
        return self.noise.draw(shape, datum) * jax.lax.rsqrt(self.curvature.draw(shape))

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array | None:
        """Returns the entries `index` of an axis of z: (*index, other axes)."""
        taken = self.noise.draw_taken(axis, index, shape, datum)
        if taken is None:
            return None
        return taken * jax.lax.rsqrt(self.curvature.draw_taken(axis, index, shape, datum))

    # As with `Dense`, a part of the leaf is again a recipe, or None.

    def transpose(self, permutation: Sequence[int]) -> "Preconditioned":
        return self._each(lambda part: part.transpose(permutation))

    def squeeze(self, axis: int) -> "Preconditioned":
        """Drops an axis of length 1."""
        return self._each(lambda part: part.squeeze(axis))

    def expand(self, axis: int) -> "Preconditioned":
        """Inserts an axis of length 1."""
        return self._each(lambda part: part.expand(axis))

    def split(self, axis: int, inner: int) -> "Preconditioned | None":
        """An axis as two, of which the second one has `inner` entries."""
        return self._each(lambda part: part.split(axis, inner))

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "Preconditioned | None":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        return self._each(lambda part: part.slice(axis, first, length, step, divisor=divisor))

    def unstack(self, length: int) -> "Preconditioned | None":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        return self._each(lambda part: part.unstack(length))

    def _each(self, fn: Callable[[Any], Any]) -> "Preconditioned | None":
        noise = fn(self.noise)
        return None if noise is None else Preconditioned(noise, fn(self.curvature))
