"""Recipes made of others, entry by entry: a part of one is made of the same part of each."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import jax


class OfParts:
    """What a recipe answers for a part of its leaf by asking the recipes that it is made of.

    Where one of them cannot follow (it returns None), neither can the whole.
    """

    def _each(self, fn: Callable[[Any], Any]) -> Self | None:
        is_recipe = lambda node: node is not self and hasattr(node, "grains")  # noqa: E731
        recipes, treedef = jax.tree.flatten(self, is_leaf=is_recipe)
        parts = [fn(recipe) for recipe in recipes]
        return None if any(part is None for part in parts) else treedef.unflatten(parts)

    def transpose(self, permutation: Sequence[int]) -> Self:
        return self._each(lambda part: part.transpose(permutation))

    def squeeze(self, axis: int) -> Self:
        """Drops an axis of length 1."""
        return self._each(lambda part: part.squeeze(axis))

    def expand(self, axis: int) -> Self:
        """Inserts an axis of length 1."""
        return self._each(lambda part: part.expand(axis))

    def split(self, axis: int, inner: int) -> Self | None:
        """An axis as two, of which the second one has `inner` entries."""
        return self._each(lambda part: part.split(axis, inner))

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> Self | None:
        """`length` entries of an axis, every `step`-th, from `first` on."""
        return self._each(lambda part: part.slice(axis, first, length, step, divisor=divisor))

    def unstack(self, length: int) -> Self | None:
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        return self._each(lambda part: part.unstack(length))
