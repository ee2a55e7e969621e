"""The recipe of a factored direction of one leaf: z = left · rightᵀ, never multiplied out."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._schedule import make_after
from zojax._trees import static, tree_dataclass
from zojax.recipes._matrix_view import MatrixView
from zojax.recipes._slicing import split, strided

LETTERS = "abcdefghijklmnopqrstuvwxyABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of axes; "z" is the rank


def sum_over_rank(
    a: jax.Array, of_a: str, b: jax.Array, of_b: str, out: str, fused: int | None = None
) -> jax.Array:
    """Einsum of two arrays that share batch axes and the rank "z" that is summed over.

    Up to a rank of `fused` it is an expression; None: `FUSED_RANK`.
    """
    rank = a.shape[of_a.index("z")]
    if rank > (_thresholds.FUSED_RANK if fused is None else fused):
        return jnp.einsum(f"{of_a},{of_b}->{out}", a, b)
    return sum(of_rank(a, of_a, k, out) * of_rank(b, of_b, k, out) for k in range(rank))


def of_rank(array: jax.Array, letters: str, k: int, out: str) -> jax.Array:
    """Entry k of the rank with the axes of `out`, of length 1 where it lacks them."""
    entry = jax.lax.index_in_dim(array, k, letters.index("z"), keepdims=False)
    letters = letters.replace("z", "")
    present = [letter for letter in out if letter in letters]
    entry = jnp.transpose(entry, [letters.index(letter) for letter in present])
    return jnp.expand_dims(
        entry, [axis for axis, letter in enumerate(out) if letter not in letters]
    )


@tree_dataclass
class LowRank:
    """z of one leaf seen as a matrix, z[i, j] = scale Σ_k left[i, k] right[j, k].

    Attributes:
      left: the leaf's batch and row axes in their order, then the rank; float32.
      right: its batch and column axes in their order, then the rank; float32.
      axes: for every axis of the leaf what it counts: "b"atch, "r"ows or "c"olumns.
      scale: see above.
      of_stack: whether this is an entry of a stack that a loop goes over.
    """

    left: jax.Array
    right: jax.Array
    axes: tuple[str, ...] = static()
    scale: float = static(default=1.0)
    of_stack: bool = static(default=False)

    @classmethod
    def of(
        cls, view: MatrixView, left: jax.Array, right: jax.Array, scale: float = 1.0
    ) -> "LowRank":
        """The recipe of a leaf with this view."""
        kinds = {**dict.fromkeys(view.batch, "b"), **dict.fromkeys(view.rows, "r")}
        count = len(view.batch) + len(view.rows) + len(view.columns)
        return cls(left, right, tuple(kinds.get(axis, "c") for axis in range(count)), scale)

    @property
    def grains(self) -> tuple[int, ...]:
        """Single entries of every axis."""
        return (1,) * len(self.axes)

    def held_bits(self, shape: Sequence[int]) -> int:
        del shape
        return 0

    def draw(self, shape: Sequence[int], datum: jax.Array | None = None) -> jax.Array:
        """Returns z of this shape, float32; with a datum, multiplied out when that is known."""
        del shape
        if datum is not None and self.left.shape[-1] > _thresholds.FUSED_RANK:
            return make_after(lambda factors: factors.draw(()), self, datum)
        z, left, right = self.subscripts(LETTERS[: len(self.axes)])
        return self.scale * sum_over_rank(self.left, left, self.right, right, z)

    def written_out(self) -> jax.Array:
        """Z as an expression of as many terms as its rank, which fuses with what reads it."""
        z, left, right = self.subscripts(LETTERS[: len(self.axes)])
        rank = self.left.shape[-1]
        return self.scale * sum_over_rank(self.left, left, self.right, right, z, fused=rank)

    def draw_taken(
        self, axis: int, index: jax.Array, shape: Sequence[int], datum: jax.Array
    ) -> jax.Array:
        """Returns the entries `index` of an axis of z: (*index, other axes)."""
        del datum
        taken = self._map(
            axis, lambda factor, at: jnp.take(factor, index.reshape(-1), at), self.axes
        )
        others = (*shape[:axis], *shape[axis + 1 :])
        z = jnp.moveaxis(taken.draw(()), axis, 0)
        return z.reshape(*index.shape, *others)

    def weighted_sum(self, coefficients: jax.Array) -> "LowRank":
        """Σ_k coefficients[k] z_k of K factored directions, every array of which leads with K."""
        left = self.left * coefficients.reshape(-1, *(1,) * (self.left.ndim - 1))
        return self._with(_side_by_side(left), _side_by_side(self.right), self.axes)

    def subscripts(self, letters: str) -> tuple[str, str, str]:
        """The einsum subscripts of z, left and right, given a letter for every axis of z."""
        left = "".join(
            letter for letter, kind in zip(letters, self.axes, strict=True) if kind != "c"
        )
        right = "".join(
            letter for letter, kind in zip(letters, self.axes, strict=True) if kind != "r"
        )
        return letters, left + "z", right + "z"

    # As with `Dense`, a part of the leaf is again a recipe.

    def transpose(self, permutation: Sequence[int]) -> "LowRank":
        axes = tuple(self.axes[axis] for axis in permutation)
        letters = LETTERS[: len(self.axes)]
        _, left, right = self.subscripts(letters)
        moved = self._with(self.left, self.right, axes)
        _, to_left, to_right = moved.subscripts("".join(letters[axis] for axis in permutation))
        return self._with(
            jnp.einsum(f"{left}->{to_left}", self.left),
            jnp.einsum(f"{right}->{to_right}", self.right),
            axes,
        )

    def squeeze(self, axis: int) -> "LowRank":
        """Drops an axis of length 1."""
        return self._map(
            axis,
            lambda factor, at: jnp.squeeze(factor, at),
            (*self.axes[:axis], *self.axes[axis + 1 :]),
        )

    def expand(self, axis: int) -> "LowRank":
        """Inserts an axis of length 1."""
        axes = (*self.axes[:axis], "b", *self.axes[axis:])
        wide = self._with(self.left, self.right, axes)
        return wide._map(axis, lambda factor, at: jnp.expand_dims(factor, at), axes)

    def split(self, axis: int, inner: int) -> "LowRank":
        """An axis as two, of which the second one has `inner` entries."""
        axes = (*self.axes[: axis + 1], *self.axes[axis:])
        return self._map(axis, lambda factor, at: split(factor, at, inner), axes)

    def slice(
        self, axis: int, first: jax.Array | int, length: int, step: int = 1, *, divisor: int = 1
    ) -> "LowRank":
        """`length` entries of an axis, every `step`-th, from `first` on."""
        del divisor
        return self._map(
            axis, lambda factor, at: strided(factor, at, first, length, step), self.axes
        )

    def unstack(self, length: int) -> "LowRank":
        """The recipes of the `length` entries of axis 0, stacked: what `lax.scan` goes over."""
        left, right = self.left, self.right
        if self.axes[0] == "c":
            left = jnp.broadcast_to(left, (length, *left.shape))
        if self.axes[0] == "r":
            right = jnp.broadcast_to(right, (length, *right.shape))
        return LowRank(left, right, self.axes[1:], self.scale, of_stack=True)

    def _with(self, left: jax.Array, right: jax.Array, axes: tuple[str, ...]) -> "LowRank":
        return LowRank(left, right, axes, self.scale, self.of_stack)

    def _map(self, axis: int, fn, axes: tuple[str, ...]) -> "LowRank":
        """Applies fn(factor, its axis) to each factor that has this axis of z."""
        before, kind = self.axes[:axis], self.axes[axis]
        left, right = self.left, self.right
        if kind != "c":
            left = fn(left, len(before) - before.count("c"))
        if kind != "r":
            right = fn(right, len(before) - before.count("r"))
        return self._with(left, right, axes)


def _side_by_side(factors: jax.Array) -> jax.Array:
    """(K, ..., rank) -> (..., K rank)."""
    factors = jnp.moveaxis(factors, 0, -2)
    return factors.reshape(*factors.shape[:-2], -1)
