"""The recipe of a direction of one leaf that is white noise over the root of a curvature."""

from collections.abc import Sequence

import jax

from zojax._trees import tree_dataclass
from zojax.recipes._dense import Dense
from zojax.recipes._low_rank import LowRank
from zojax.recipes._of_parts import OfParts
from zojax.recipes._precomputed import Precomputed


@tree_dataclass
class Preconditioned(OfParts):
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
