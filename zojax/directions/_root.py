"""A gaussian direction of one leaf that goes less far along a vector, and the score of its law.

The leaf is a matrix of m rows and n columns (a batch of them; a vector is one row), u its white
noise, and z = R u with a positive-definite root that a vector a in Rⁿ decides:

    D = √(ρ + ‖a‖²),   q = 1 / (D (D + √ρ)),   R = I - q a aᵀ,   R Rᵀ = ρ (ρ I + a aᵀ)⁻¹        (1)

R leaves what is orthogonal to a alone, and shortens a by √ρ / D. Row blocks: it acts on each row,
z_i = u_i - q (a·u_i) a. Whole tensor: it acts on all rows as one vector with 1ₘ ⊗ a in the place of
a, so with m ‖a‖² in (1) and z_i = u_i - q (Σ_j a·u_j) a.

With w_i = a·z_i (row blocks) or w_i = Σ_j a·z_j (whole tensor), and p the density of z,

    S(z) = √ρ ∇_a log p(z) = √ρ (m a / D² - Σ_i w_i z_i / ρ),   E[S] = 0                        (2)

The recipe of z, u and factors l_i aᵀ, knows w: by (1), w_i = -√ρ (D + √ρ) l_i.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax.directions._factors import Factors
from zojax.directions._rows import Rows
from zojax.directions._sum import Sum
from zojax.directions._views import MatrixView

# Noise is drawn, multiplied and forgotten in blocks of this share of all entries.
_SHARE = 1 / 128
_LEAST_BLOCK = 1 << 16


class Root(NamedTuple):
    """R of equation (1) but for a.

    Attributes:
      rho: ρ.
      whole: whether R acts on the rows as one vector.
      budget: entries of noise that may be drawn at a time.
    """

    rho: ArrayLike
    whole: bool
    budget: int

    @classmethod
    def of(cls, rho: ArrayLike, structure: str, size: int) -> "Root":
        """For params of this size."""
        return cls(rho, structure == "whole_tensor", max(int(_SHARE * size), _LEAST_BLOCK))

    def apply(self, rows: Rows, shape, view: MatrixView, a: jax.Array, datum: jax.Array) -> Sum:
        """The recipe of R u; `a` has the axes of the leaf but for the rows."""
        along = jnp.expand_dims(a, view.rows)
        m, _ = view.sizes(shape)
        d = self._stretch(along, view.columns, m)
        inner = _contract(rows, shape, along, view.columns, self.budget, datum)
        if self.whole:
            total = jnp.sum(inner, view.rows, keepdims=True)
            inner = jnp.broadcast_to(total, inner.shape)
        left = jnp.squeeze(-inner / (d * (d + jnp.sqrt(self.rho))), view.columns)
        return Sum((rows, Factors.of(view, left[..., None], a[..., None])))

    def score(self, recipe: Sum, a: jax.Array, datum: jax.Array) -> jax.Array:
        """S(z) of a recipe that `apply` made with this a."""
        factors = recipe.parts[1]
        shape, rows, columns = _shape_rows_columns(factors)
        along = jnp.expand_dims(a, rows)
        m = math.prod(shape[axis] for axis in rows)
        d = self._stretch(along, columns, m)
        left = jnp.expand_dims(factors.left[..., 0], columns)
        weighted = _contract(recipe, shape, left, rows, self.budget, datum)
        root = jnp.sqrt(self.rho)
        return jnp.squeeze(root * m * along / d**2 + (d + root) * weighted, rows)

    def _stretch(self, along: jax.Array, columns: tuple[int, ...], m: int) -> jax.Array:
        """D of each matrix, with the axes of the leaf."""
        norm = jnp.sum(along**2, columns, keepdims=True)
        return jnp.sqrt(self.rho + (m if self.whole else 1) * norm)


def size_of(recipe: Sum) -> int:
    """Entries of the leaf of a recipe that `Root.apply` made."""
    return math.prod(_shape_rows_columns(recipe.parts[1])[0])


def _shape_rows_columns(factors: Factors) -> tuple[tuple[int, ...], ...]:
    """The leaf's shape, its row axes and its column axes."""
    left, right = list(factors.left.shape), list(factors.right.shape)
    shape = []
    for kind in factors.axes:
        of_left = left.pop(0) if kind != "c" else None
        of_right = right.pop(0) if kind != "r" else None
        shape.append(of_right if of_left is None else of_left)
    rows, columns = (
        tuple(axis for axis, kind in enumerate(factors.axes) if kind == side) for side in "rc"
    )
    return tuple(shape), rows, columns


def _contract(
    recipe: Rows | Sum,
    shape: tuple[int, ...],
    weights: jax.Array,
    summed: tuple[int, ...],
    budget: int,
    datum: jax.Array,
) -> jax.Array:
    """Returns Σ z · weights over the axes `summed`, which stay with length 1.

    Args:
      recipe: of z.
      shape: of z.
      weights: with the axes of z, of length 1 or whole.
      summed: axes.
      budget: entries of z that are drawn at a time, where it can be cut along its first axis.
      datum: is known before anything is drawn.
    """
    blocks = -(-math.prod(shape) // budget)
    if blocks == 1 or len(shape) < 2 or recipe.axes[0] is None:
        return jnp.sum(recipe.draw(shape, datum) * weights, summed, keepdims=True)
    size = shape[0]
    length = -(-size // min(blocks, size))

    def add(block: jax.Array, out: jax.Array) -> jax.Array:
        # The last block starts early enough to be whole; what it has in common with the one before
        # is summed once, or written twice alike.
        first = jnp.minimum(block * length, size - length)
        terms = recipe.slice(0, first, length).draw((length, *shape[1:]))
        if weights.shape[0] == 1:
            terms = terms * weights
        else:
            terms = terms * jax.lax.dynamic_slice_in_dim(weights, first, length)
        if 0 not in summed:
            part = jnp.sum(terms, summed, keepdims=True)
            return jax.lax.dynamic_update_slice_in_dim(out, part, first, 0)
        fresh = first + jnp.arange(length) >= block * length
        terms = jnp.where(fresh.reshape(-1, *(1,) * (len(shape) - 1)), terms, 0)
        return out + jnp.sum(terms, summed, keepdims=True)

    kept = [1 if axis in summed else n for axis, n in enumerate(shape)]
    return jax.lax.fori_loop(0, -(-size // length), add, jnp.zeros(kept, weights.dtype))
