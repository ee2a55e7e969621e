"""The lazily perturbed array: base + radius · z, with z a recipe."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from zojax._dtypes import wide
from zojax._mesh import AxisName, gathered
from zojax._schedule import cut_out, make_after
from zojax._trees import static, tree_dataclass
from zojax.evaluation._combs import Combs
from zojax.evaluation._sequence import in_sequence
from zojax.recipes import LowRank, Recipe


@tree_dataclass
class Perturbed:
    """What the loss sees in the place of a leaf of params.

    Attributes:
      base: the leaf, or the part of it that is meant.
      recipe: of z, which has the shape of `base`.
      radius: how far along z, shape ().
      dtypes: the dtypes that base + radius z is cast to, one after another; the sum itself is
        formed in float32 or wider.
      budget: entries that may be perturbed at a time where the contraction can be cut into blocks.
      permutation: the axes of `base` in the order in which the loss sees them. A contraction reads
        `base` as it lies; transposing it first would copy it.
      gathered: mesh axes that cut `base` where it is stored, and not where it is used.
      path: of the leaf in params, as `explain` names it.
    """

    base: jax.Array
    recipe: Recipe
    radius: jax.Array
    dtypes: tuple[Any, ...] = static()
    budget: int = static()
    permutation: tuple[int, ...] = static()
    gathered: AxisName = static(default=())
    path: str = static(default="")

    @property
    def ndim(self) -> int:
        return len(self.permutation)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.base.shape[axis] for axis in self.permutation)

    @property
    def dtype(self) -> Any:
        return self.dtypes[-1]

    def dense(self, datum: jax.Array | None = None, *, fuses: bool = True) -> jax.Array:
        """The perturbed array itself, its noise drawn when `datum` is known.

        Args:
          datum: see above; with None it is drawn at any time.
          fuses: whether what reads the array can form it, entry by entry. Factors of a low rank are
            multiplied out there; elsewhere in a buffer that waits like that of other noise.
        """
        if datum is not None:
            datum = in_sequence(datum)
        if fuses or datum is None or not isinstance(self.recipe, LowRank):
            z = self.recipe.draw(self.base.shape, datum)
        else:
            z = make_after(lambda recipe: recipe.draw(self.base.shape), self.recipe, datum)
        return jax.lax.transpose(self.shifted(self.whole().base, z), self.permutation)

    def whole(self) -> "Perturbed":
        """The same array with its base gathered: before it is perturbed, it travels once."""
        base = gathered(cut_out(self.base), self.gathered) if self.gathered else self.base
        return dataclasses.replace(self, base=base, gathered=())

    def settled(self) -> "Perturbed":
        """The same array with its base and recipe transposed as the loss sees them."""
        order = tuple(range(self.base.ndim))
        if self.permutation == order:
            return self
        base = jax.lax.transpose(self.base, self.permutation)
        recipe = self.recipe.transpose(self.permutation)
        return dataclasses.replace(self, base=base, recipe=recipe, permutation=order)

    def shifted(self, base: jax.Array, z: jax.Array) -> jax.Array:
        """Base + radius z for any entries of the two."""
        dtype = wide(base.dtype)
        return self.cast(base.astype(dtype) + self.radius.astype(dtype) * z.astype(dtype))

    def cast(self, value: jax.Array) -> jax.Array:
        """Casts as the leaf was, and as the loss then asked for."""
        for dtype in self.dtypes:
            value = value.astype(dtype)
        return value

    def replaced(self, base: jax.Array, recipe: Recipe | None) -> "Perturbed | None":
        """The same perturbation of a part of a settled leaf; None if the part has no recipe."""
        if recipe is None:
            return None
        order = tuple(range(base.ndim))
        return dataclasses.replace(self, base=base, recipe=recipe, permutation=order)

    def slice(
        self, axis: int, first: jax.Array | int, length: int, *, divisor: int = 1
    ) -> "Perturbed | None":
        """`length` entries of an axis of the base from `first` on; see `Recipe.slice`."""
        base = jax.lax.dynamic_slice_in_dim(self.base, first, length, axis)
        return self.replaced(base, self.recipe.slice(axis, first, length, divisor=divisor))

    def comb(self, axis: int, combs: Combs, comb: jax.Array) -> "Perturbed | None":
        """One comb of an axis of the base, which becomes two: teeth, and the entries of a tooth."""
        recipe = self.recipe.split(axis, combs.tooth)
        if recipe is not None:
            recipe = recipe.slice(axis, comb, combs.teeth, combs.count)
        return self.replaced(combs.cut(self.base, axis, comb), recipe)

    def unstack(self) -> "Perturbed | None":
        """The entries of axis 0 as a stack of perturbed arrays, for `lax.scan` to go over."""
        length = self.base.shape[0]
        recipe = self.recipe.unstack(length)
        if recipe is None:
            return None
        radius = jnp.broadcast_to(self.radius, (length,))
        inner = tuple(range(self.base.ndim - 1))
        return dataclasses.replace(self, recipe=recipe, radius=radius, permutation=inner)
