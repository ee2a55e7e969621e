"""The recipe of a leaf whose z is there."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from zojax._mesh import uncut_along
from zojax._trees import tree_dataclass
from zojax.recipes._slicing import split, strided


@tree_dataclass
class Precomputed:
    """z of one leaf, or of a part of it, drawn beforehand; or a multiple of what is stored.

    Attributes:
      z: float32.
      scale: what it is multiplied with where it is read, shape (), so that no product of the size
        of the leaf is made; None for 1.
    """

    z: jax.Array
    scale: jax.Array | None = None

    @property
    def grains(self) -> tuple[int, ...]:
        """Single entries of every axis."""
        return (1,) * self.z.ndim

    def held_bits(self, shape: Sequence[int]) -> int:
        del shape
        return 0

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z. The shape and the datum, which says when to draw, have no use here."""
        del shape, datum
        return self._scaled(self.z)

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array:
        """Returns the entries `index` of an axis of z: (*index, other axes)."""
        del shape, datum
        taken = jnp.take(jnp.moveaxis(self.z, axis, 0), index, 0)
        return self._scaled(uncut_along(taken, tuple(range(index.ndim, taken.ndim))))

    # As with `Dense`, a part of the leaf is again a recipe.

    def transpose(self, permutation: Sequence[int]) -> "Precomputed":
        return self._part(jnp.transpose(self.z, permutation))

    def squeeze(self, axis: int) -> "Precomputed":
        """Drops an axis of length 1."""
        return self._part(jnp.squeeze(self.z, axis))

    def expand(self, axis: int) -> "Precomputed":
        """Inserts an axis of length 1."""
        return self._part(jnp.expand_dims(self.z, axis))

    def split(self, axis: int, inner: int) -> "Precomputed":
        """An axis as two, of which the second one has `inner` entries."""
        return self._part(split(self.z, axis, inner))

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "Precomputed":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        del divisor
        return self._part(strided(self.z, axis, first, length, step))

    def unstack(self, length: int) -> "Precomputed":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        scale = None if self.scale is None else jnp.broadcast_to(self.scale, (length,))
        return Precomputed(self.z, scale)

    def _scaled(self, z: jax.Array) -> jax.Array:
        return z if self.scale is None else self.scale * z

    def _part(self, z: jax.Array) -> "Precomputed":
        return dataclasses.replace(self, z=z)
