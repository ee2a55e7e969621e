"""What a recipe is: how the direction z of one leaf is made again, whole or in part."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax


class Recipe(Protocol):
    """How z of one leaf, or of a part of it, is made again.

    A recipe is a tree of a few arrays (a registered dataclass), so it passes through `vmap`, `scan`
    and `cond`. A part of a leaf, or a leaf seen otherwise, is again a recipe that gives the same
    numbers. Where the recipe cannot follow, the method returns None, and the caller draws the leaf.

    Attributes:
      grains: for every axis of the leaf, of multiples of how many entries a part along it should
        be, for the least cost of drawing it; 0 if no part can be drawn alone.
    """

    @property
    def grains(self) -> tuple[int, ...]: ...

    def held_bits(self, shape: Sequence[int]) -> int:
        """Random bits of an entry of z of this shape that can be kept in its place, or 0."""
        ...

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32; with a datum, drawn when that is known."""
        ...

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array | None:
        """Returns the entries `index` of an axis of z, which has this shape: (*index, others)."""
        ...

    def transpose(self, permutation: Sequence[int]) -> "Recipe":
        """Z with its axes in another order."""
        ...

    def squeeze(self, axis: int) -> "Recipe":
        """Drops an axis of length 1."""
        ...

    def expand(self, axis: int) -> "Recipe":
        """Inserts an axis of length 1."""
        ...

    def split(self, axis: int, inner: int) -> "Recipe | None":
        """An axis as two, of which the second one has `inner` entries."""
        ...

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "Recipe | None":
        """`length` entries of an axis, every `step`-th, from `first` on, which may be traced.

        If it is, a divisor of it that is known makes the draw cheaper.
        """
        ...

    def unstack(self, length: int) -> "Recipe | None":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        ...


Directions = tuple[Recipe, ...]
"""One recipe for every leaf of params; where K directions are meant, every array leads with K."""


class OneByOne(NamedTuple):
    """Directions that are drawn where they are evaluated, one query (or chunk) after another.

    Attributes:
      num_queries: K.
      draw: `query -> direction`, one of the K.
    """

    num_queries: int
    draw: Callable[[jax.Array], Directions]


def query(directions: Any, k: jax.Array | int) -> Any:
    """Direction k of K, or the recipe of a leaf in it."""
    return jax.tree.map(lambda array: array[k], directions)
