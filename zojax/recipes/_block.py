"""The recipe of a direction that is zero outside one slice of a leaf."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from zojax._trees import static, tree_dataclass
from zojax.recipes._precomputed import Precomputed


@tree_dataclass
class Block:
    """z that is another recipe's inside one slice of a leaf, and zero elsewhere.

    Where the slice is not there (another leaf, or another layer of the stack, is active) nothing is
    drawn, not only nothing changed: a contraction then reads the base weight alone.

    Attributes:
      recipe: of z inside the slice, whose cut axes have length 1.
      active: whether the slice is there, shape (), bool.
      index: where it lies along each cut axis, (number of cut axes,), int32.
      cut: the axes along which the slice is one entry long; without any it is the whole leaf.
      number: of the block that the whole leaf is in, None if its slices are in several. Leaves, and
        parts of them, with the same number are active together, with different ones never.
    """

    recipe: Any
    active: jax.Array
    index: jax.Array
    cut: tuple[int, ...] = static()
    number: int | None = static(default=None)

    @property
    def grains(self) -> tuple[int, ...]:
        """As the recipe inside the slice; along what is cut, single entries."""
        of_recipe = enumerate(self.recipe.grains)
        return tuple(1 if axis in self.cut else grain for axis, grain in of_recipe)

    def held_bits(self, shape: Sequence[int]) -> int:
        inside = (1 if axis in self.cut else n for axis, n in enumerate(shape))
        return self.recipe.held_bits(tuple(inside))

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32; only the slice is drawn, and only if it is there."""
        if 0 in shape:  # a part of the leaf in which the slice has no place
            return jnp.zeros(shape, jnp.float32)
        inside = tuple(1 if axis in self.cut else n for axis, n in enumerate(shape))
        datum = self.active if datum is None else datum  # else rows would be drawn one by one
        z = self._if_active(lambda: self.recipe.draw(inside, datum))
        return self.placed(z, jnp.zeros(shape, z.dtype))

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array | None:
        """Returns the entries `index` of an axis of z: (*index, other axes), None for a slice."""

        def taken() -> jax.Array | None:
            return self.recipe.draw_taken(axis, index, shape, datum)

        if self.cut or jax.eval_shape(taken) is None:
            return None
        return self._if_active(taken)

    def placed(self, inside: jax.Array, around: jax.Array) -> jax.Array:
        """`around` with `inside` written over the slice."""
        if not self.cut:
            return inside
        starts = [jnp.int32(0)] * around.ndim
        for axis, index in zip(self.cut, self.index, strict=True):
            starts[axis] = index
        return jax.lax.dynamic_update_slice(around, inside, starts)

    def taken(self, array: jax.Array) -> jax.Array:
        """The slice of an array with the shape of the leaf."""
        for axis, index in zip(self.cut, self.index, strict=True):
            array = jax.lax.dynamic_slice_in_dim(array, index, 1, axis)
        return array

    def of_slice(self) -> "Block":
        """The recipe of the slice alone."""
        return Block(self.recipe, self.active, self.index[:0], (), self.number)

    def there(self, when: jax.Array) -> "Block":
        """The same recipe, but drawn only if `when` is true."""
        return self._part(self.recipe, active=self.active & when)

    def _if_active(self, draw) -> jax.Array:
        if isinstance(self.recipe, Precomputed):
            return jnp.where(self.active, draw(), 0)
        shape = jax.eval_shape(draw)
        return jax.lax.cond(self.active, draw, lambda: jnp.zeros(shape.shape, shape.dtype))

    # As with `Dense`, a part of the leaf is again a recipe.

    def transpose(self, permutation: Sequence[int]) -> "Block":
        cut = tuple(permutation.index(axis) for axis in self.cut)
        return self._part(self.recipe.transpose(permutation), cut=cut)

    def squeeze(self, axis: int) -> "Block":
        """Drops an axis of length 1."""
        kept = [place for place, other in enumerate(self.cut) if other != axis]
        cut = tuple(self.cut[place] - (self.cut[place] > axis) for place in kept)
        index = jnp.stack([self.index[place] for place in kept]) if kept else self.index[:0]
        return self._part(self.recipe.squeeze(axis), index=index, cut=cut)

    def expand(self, axis: int) -> "Block":
        """Inserts an axis of length 1."""
        cut = tuple(other + (other >= axis) for other in self.cut)
        return self._part(self.recipe.expand(axis), cut=cut)

    def split(self, axis: int, inner: int) -> "Block | None":
        """An axis as two, of which the second one has `inner` entries."""
        is_cut = axis in self.cut
        recipe = self.recipe.split(axis, 1 if is_cut else inner)
        if recipe is None:
            return None
        cut = tuple(other + (other > axis) for other in self.cut)
        if not is_cut:
            return self._part(recipe, cut=cut)
        place = self.cut.index(axis)
        outer, entry = jnp.divmod(self.index[place], inner)
        index = jnp.concatenate([self.index.at[place].set(outer), entry[None]])
        return self._part(recipe, index=index, cut=(*cut, axis + 1))

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "Block | None":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        if axis not in self.cut:
            recipe = self.recipe.slice(axis, first, length, step, divisor=divisor)
            return None if recipe is None else self._part(recipe)
        place = self.cut.index(axis)
        offset = self.index[place] - first
        inside = (offset >= 0) & (offset < length * step) & (offset % step == 0)
        index = self.index.at[place].set(jnp.where(inside, offset // step, 0))
        return self._part(self.recipe, active=self.active & inside, index=index)

    def unstack(self, length: int) -> "Block | None":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""

        def repeated(tree: Any) -> Any:
            return jax.tree.map(lambda array: jnp.broadcast_to(array, (length, *array.shape)), tree)

        active = jnp.broadcast_to(self.active, (length,))
        if 0 in self.cut:
            active = active & (jnp.arange(length) == self.index[self.cut.index(0)])
            inner = self.squeeze(0)
            index = repeated(inner.index)
            return inner._part(repeated(inner.recipe), active=active, index=index)
        recipe = self.recipe.unstack(length)
        if recipe is None:
            return None
        cut = tuple(axis - 1 for axis in self.cut)
        return self._part(recipe, active=active, index=repeated(self.index), cut=cut)

    def _part(self, recipe: Any, **changes: Any) -> "Block":
        return dataclasses.replace(self, recipe=recipe, **changes)
