"""The recipe of a leaf whose z is there."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp


class Drawn(eqx.Module):
    """z of one leaf, or of a part of it, drawn beforehand.

    Attributes:
      z: float32.
    """

    z: jax.Array

    @property
    def packed(self) -> bool:
        return False

    @property
    def axes(self) -> tuple[int, ...]:
        """Along every axis a part can be had alone."""
        return (0,) * self.z.ndim

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z. The shape and the datum, which says when to draw, have no use here."""
        del shape, datum
        return self.z

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array:
        """Returns the entries `index` of an axis of z: (*index, other axes)."""
        del shape, datum
        return jnp.take(jnp.moveaxis(self.z, axis, 0), index, 0)

    # As with `Rows`, a part of the leaf is again a recipe.

    def transpose(self, permutation: Sequence[int]) -> "Drawn":
        return Drawn(jnp.transpose(self.z, permutation))

    def squeeze(self, axis: int) -> "Drawn":
        """Drops an axis of length 1."""
        return Drawn(jnp.squeeze(self.z, axis))

    def expand(self, axis: int) -> "Drawn":
        """Inserts an axis of length 1."""
        return Drawn(jnp.expand_dims(self.z, axis))

    def slice(self, axis: int, first: jax.Array | int, length: int, step: int = 1) -> "Drawn":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        span = (length - 1) * step + 1
        cut = jax.lax.dynamic_slice_in_dim(self.z, first, span, axis)
        return Drawn(cut[(slice(None),) * axis + (slice(None, None, step),)])

    def unstack(self, length: int) -> "Drawn":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        del length
        return Drawn(self.z)
