"""The recipe of a direction that is zero where a weight is large."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from zojax._trees import tree_dataclass
from zojax.recipes._dense import Dense
from zojax.recipes._precomputed import Precomputed
from zojax.recipes._slicing import split, strided


@tree_dataclass
class Masked:
    """z of one leaf: the noise of another recipe where |leaf| ≤ threshold, and 0 elsewhere.

    The mask is made where z is read, of the leaf as it is and not as it is perturbed; no array of
    its own is kept.

    Attributes:
      noise: of z without the mask.
      leaf: of params, of z's shape.
      threshold: with the axes of the leaf, of length 1 along those that it does not depend on;
        float32.
    """

    noise: Dense | Precomputed
    leaf: jax.Array
    threshold: jax.Array

    @property
    def grains(self) -> tuple[int, ...]:
        """Those of the noise."""
        return self.noise.grains

    def held_bits(self, shape: Sequence[int]) -> int:
        return self.noise.held_bits(shape)

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32; with a datum, drawn when that is known."""
        return masked(self.noise.draw(shape, datum), self.leaf, self.threshold)

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array | None:
        """Returns the entries `index` of an axis of z: (*index, other axes)."""
        taken = self.noise.draw_taken(axis, index, shape, datum)
        if taken is None:
            return None
        leaf = jnp.take(jnp.moveaxis(self.leaf, axis, 0), index, 0)
        threshold = jnp.moveaxis(self.threshold, axis, 0)
        if threshold.shape[0] == 1:
            threshold = threshold.reshape(*(1,) * index.ndim, *threshold.shape[1:])
        else:
            threshold = jnp.take(threshold, index, 0)
        return masked(taken, leaf, threshold)

    # As with `Dense`, a part of the leaf is again a recipe, or None.

    def transpose(self, permutation: Sequence[int]) -> "Masked":
        return self._with(
            self.noise.transpose(permutation), lambda a: jnp.transpose(a, permutation)
        )

    def squeeze(self, axis: int) -> "Masked":
        """Drops an axis of length 1."""
        return self._with(self.noise.squeeze(axis), lambda a: jnp.squeeze(a, axis))

    def expand(self, axis: int) -> "Masked":
        """Inserts an axis of length 1."""
        return self._with(self.noise.expand(axis), lambda a: jnp.expand_dims(a, axis))

    def split(self, axis: int, inner: int) -> "Masked | None":
        """An axis as two, of which the second one has `inner` entries."""

        def of_array(array: jax.Array) -> jax.Array:
            return split(array, axis, inner if array.shape[axis] > 1 else 1)

        return self._with(self.noise.split(axis, inner), of_array)

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "Masked | None":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        size = self.leaf.shape[axis]

        def cut(array: jax.Array) -> jax.Array:
            if array.shape[axis] < size:  # 1, for all of them
                return array
            return strided(array, axis, first, length, step)

        return self._with(self.noise.slice(axis, first, length, step, divisor=divisor), cut)

    def unstack(self, length: int) -> "Masked | None":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        return self._with(
            self.noise.unstack(length), lambda a: jnp.broadcast_to(a, (length, *a.shape[1:]))
        )

    def _with(
        self, noise: Dense | Precomputed | None, fn: Callable[[jax.Array], jax.Array]
    ) -> "Masked | None":
        return None if noise is None else Masked(noise, fn(self.leaf), fn(self.threshold))


def masked(z: jax.Array, leaf: jax.Array, threshold: jax.Array) -> jax.Array:
    """Returns z where |leaf| ≤ threshold, and 0 elsewhere."""
    return jnp.where(jnp.abs(leaf).astype(jnp.float32) <= threshold, z, 0.0)
