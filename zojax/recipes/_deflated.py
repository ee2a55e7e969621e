"""The recipe of a direction of one leaf that is white noise less its part along a vector.

    l = -q Σ u a,    z = u + l a                                                             (1)

with a sum over some axes of the leaf. l is made of the noise where that is drawn, and stored
nowhere: one draw is enough for both.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from zojax._trees import static, tree_dataclass
from zojax.recipes._dense import Dense
from zojax.recipes._low_rank import LETTERS
from zojax.recipes._precomputed import Precomputed
from zojax.recipes._slicing import split, strided


@tree_dataclass
class Deflated:
    """z of one leaf by equation (1). `along` and `gain` have its axes.

    Attributes:
      noise: the recipe of u.
      along: a, of length 1 along the axes that it does not depend on.
      gain: q, of length 1 along those, and along the axes of the sum.
      summed: the axes of the sum.
    """

    noise: Dense | Precomputed
    along: jax.Array
    gain: jax.Array
    summed: tuple[int, ...] = static()

    @property
    def grains(self) -> tuple[int, ...]:
        """Those of the noise; along the axes of the sum a part has not all that is summed."""
        of_noise = enumerate(self.noise.grains)
        return tuple(0 if axis in self.summed else grain for axis, grain in of_noise)

    def held_bits(self, shape: Sequence[int]) -> int:
        return self.noise.held_bits(shape)

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32; with a datum, drawn when that is known."""
        noise, left = self.noise_and_left(shape, datum)
        return noise + left * self.along

    def noise_and_left(
        self, shape: Sequence[int], datum: jax.Array | None
    ) -> tuple[jax.Array, jax.Array]:
        """The noise u of this shape; l, which has length 1 along the axes of the sum."""
        noise = self._held(shape, datum)
        return noise, -self.gain * contracted(noise, self.along, self.summed)

    def _held(self, shape: Sequence[int], datum: jax.Array | None) -> jax.Array:
        """The noise as it is read, its scale too: else a product with a vector would copy it."""
        if datum is None or not isinstance(self.noise, Dense):
            return self.noise.draw(shape, datum)
        return self.noise.draw_held(shape, datum)

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array | None:
        """Returns the entries `index` of an axis of z: (*index, other axes).

        Along an axis of the sum all noise is drawn once more, for l.
        """
        taken = self.noise.draw_taken(axis, index, shape, datum)
        if taken is None:
            return None
        along, gain = (_taken(array, axis, index) for array in (self.along, self.gain))
        if axis in self.summed:
            left = _taken(self.noise_and_left(shape, datum)[1], axis, index)
        else:
            places = [index.ndim + other - (other > axis) for other in self.summed]
            left = -gain * contracted(taken, along, tuple(places))
        return taken + left * along

    # As with `Dense`, a part of the leaf is again a recipe, or None.

    def transpose(self, permutation: Sequence[int]) -> "Deflated":
        summed = tuple(permutation.index(axis) for axis in self.summed)
        return self._with(
            self.noise.transpose(permutation), lambda a: jnp.transpose(a, permutation), summed
        )

    def squeeze(self, axis: int) -> "Deflated":
        """Drops an axis of length 1."""
        summed = tuple(other - (other > axis) for other in self.summed if other != axis)
        return self._with(self.noise.squeeze(axis), lambda a: jnp.squeeze(a, axis), summed)

    def expand(self, axis: int) -> "Deflated":
        """Inserts an axis of length 1."""
        summed = tuple(other + (other >= axis) for other in self.summed)
        return self._with(self.noise.expand(axis), lambda a: jnp.expand_dims(a, axis), summed)

    def split(self, axis: int, inner: int) -> "Deflated | None":
        """An axis as two, of which the second one has `inner` entries."""
        noise = self.noise.split(axis, inner)
        if noise is None:
            return None
        summed = [other + (other > axis) for other in self.summed]
        summed += [axis + 1] if axis in self.summed else []

        def of_array(array: jax.Array) -> jax.Array:
            return split(array, axis, inner if array.shape[axis] > 1 else 1)

        return self._with(noise, of_array, tuple(summed))

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "Deflated | None":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        noise = self.noise.slice(axis, first, length, step, divisor=divisor)
        if noise is None or axis in self.summed:
            return None

        def cut(array: jax.Array) -> jax.Array:
            if array.shape[axis] == 1:
                return array
            return strided(array, axis, first, length, step)

        return self._with(noise, cut, self.summed)

    def unstack(self, length: int) -> "Deflated | None":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        noise = self.noise.unstack(length)
        if noise is None or 0 in self.summed:
            return None
        summed = tuple(axis - 1 for axis in self.summed)
        return self._with(noise, lambda a: jnp.broadcast_to(a, (length, *a.shape[1:])), summed)

    def _with(
        self,
        noise: Dense | Precomputed,
        fn: Callable[[jax.Array], jax.Array],
        summed: tuple[int, ...],
    ) -> "Deflated":
        return Deflated(noise, fn(self.along), fn(self.gain), summed)


def contracted(z: jax.Array, weights: jax.Array, summed: Sequence[int]) -> jax.Array:
    """Returns Σ z · weights over the axes `summed`, which stay with length 1.

    Args:
      z: an array.
      weights: with the axes of z, of length 1 or whole.
      summed: axes.
    """
    letters = LETTERS[: z.ndim]
    whole = [axis for axis in range(z.ndim) if weights.shape[axis] > 1]
    kept = [axis for axis in range(z.ndim) if axis not in summed]
    of_weights, of_out = ("".join(letters[axis] for axis in axes) for axes in (whole, kept))
    # A product of a matrix and a vector: XLA makes it faster than a sum of products; but only with
    # the vector on the side of the axes that are summed does it read z as it lies.
    operands = [(letters, z), (of_weights, weights.reshape([z.shape[axis] for axis in whole]))]
    if z.ndim - 1 not in summed:
        operands.reverse()
    (first, a), (second, b) = operands
    out = jnp.einsum(f"{first},{second}->{of_out}", a, b, precision=jax.lax.Precision.HIGHEST)
    return jnp.expand_dims(out, tuple(summed))


def _taken(array: jax.Array, axis: int, index: jax.Array) -> jax.Array:
    """The entries `index` of an axis, in front; of one of length 1, what stands for all."""
    array = jnp.moveaxis(array, axis, 0)
    if array.shape[0] == 1:
        return array.reshape(*(1,) * index.ndim, *array.shape[1:])
    return jnp.take(array, index, 0)
