"""A gaussian direction of one leaf that goes less far along a vector, and the score of its law.

The leaf is a matrix of m rows and n columns (a batch of them; a vector is one row), u its white
noise, and z = R u with a positive-definite root that a vector a in Rⁿ decides:

    D = √(ρ + ‖a‖²),   q = 1 / (D (D + √ρ)),   R = I - q a aᵀ,   R Rᵀ = ρ (ρ I + a aᵀ)⁻¹        (1)

R leaves what is orthogonal to a alone, and shortens a by √ρ / D. Row blocks: it acts on each row,
z_i = u_i + l_i a with l_i = -q a·u_i. Whole tensor: it acts on all rows as one vector with 1ₘ ⊗ a
in the place of a, so with m ‖a‖² in (1), and all l_i are l = -q Σ_j a·u_j.

With w_i = a·z_i (row blocks) or w_i = Σ_j a·z_j (whole tensor), and p the density of z,

    S(z) = √ρ ∇_a log p(z) = √ρ (m a / D² - Σ_i w_i z_i / ρ),   E[S] = 0                        (2)
         = √ρ m a / D² + (D + √ρ) Σ_i l_i z_i,   as by (1) w_i = -√ρ (D + √ρ) l_i               (3)
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _thresholds
from zojax._axis_blocks import AxisBlocks
from zojax._thresholds import block_entries
from zojax.recipes import Deflated, Dense, LowRank, MatrixView, Sum, contracted


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
        return cls(rho, structure == "whole_tensor", block_entries(size))

    def apply(
        self, noise: Dense, shape: tuple[int, ...], view: MatrixView, a: jax.Array, datum: jax.Array
    ) -> Deflated | Sum:
        """The recipe of R u; `a` has the axes of the leaf but for the rows.

        Where a matrix (all matrices in one layer of a stack) may be drawn at once, l is made of the
        noise whenever that is. Of larger ones it is made here, once, so that z can be had in parts.
        """
        along = jnp.expand_dims(a, view.rows)
        d = self._stretch(shape, view, along)
        gain = 1 / (d * (d + jnp.sqrt(self.rho)))
        if self._at_once(shape, view) <= _thresholds.SUMMED_BLOCK_FACTOR * self.budget:
            summed = (*view.rows, *view.columns) if self.whole else view.columns
            return Deflated(noise, along, gain, summed)
        inner = _contract(noise, shape, along, view.columns, self.budget, datum)
        if self.whole:
            total = jnp.sum(inner, view.rows, keepdims=True)
            inner = jnp.broadcast_to(total, inner.shape)
        left = jnp.squeeze(-gain * inner, view.columns)
        return Sum((noise, LowRank.of(view, left[..., None], a[..., None])))

    def products(
        self, recipe: Sum, shape: tuple[int, ...], view: MatrixView, datum: jax.Array
    ) -> jax.Array:
        """Σ_i l_i z_i of a sum that `apply` made, with the axes of the leaf."""
        left = jnp.expand_dims(recipe.parts[1].left[..., 0], view.columns)
        return _contract(recipe, shape, left, view.rows, self.budget, datum)

    def score(
        self,
        total: jax.Array,
        products: jax.Array,
        shape: tuple[int, ...],
        view: MatrixView,
        a: jax.Array,
    ) -> jax.Array:
        """Σ_k c_k S(z_k) by (3).

        Args:
          total: Σ_k c_k, shape ().
          products: Σ_k c_k Σ_i l_i z_i, with the axes of the leaf, of length 1 along the rows.
          shape: of the leaf.
          view: of the leaf.
          a: see `apply`.
        """
        along = jnp.expand_dims(a, view.rows)
        d, root = self._stretch(shape, view, along), jnp.sqrt(self.rho)
        m, _ = view.sizes(shape)
        return jnp.squeeze(total * root * m * along / d**2 + (d + root) * products, view.rows)

    def _stretch(self, shape: tuple[int, ...], view: MatrixView, along: jax.Array) -> jax.Array:
        """D of each matrix, with the axes of the leaf."""
        m, _ = view.sizes(shape)
        norm = jnp.sum(along**2, view.columns, keepdims=True)
        return jnp.sqrt(self.rho + (m if self.whole else 1) * norm)

    def _at_once(self, shape: tuple[int, ...], view: MatrixView) -> int:
        """Entries that l takes to be made of them: a matrix, or all in one layer of a stack."""
        return math.prod(shape[1:] if 0 in view.batch else shape)


def _contract(
    recipe: Dense | Sum,
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
    if blocks <= 1 or len(shape) < 2 or not recipe.grains[0]:
        return contracted(recipe.draw(shape, datum), weights, summed)
    cut = AxisBlocks.of_count(shape[0], blocks).rounded_to(recipe.grains[0])

    def add(block: jax.Array, out: jax.Array) -> jax.Array:
        first, length = cut.first(block), cut.length
        z = recipe.slice(0, first, length, divisor=cut.divisor).draw((length, *shape[1:]), out)
        part = weights
        if weights.shape[0] > 1:
            part = jax.lax.dynamic_slice_in_dim(weights, first, length)
        if 0 not in summed:
            part = contracted(z, part, summed)
            return jax.lax.dynamic_update_slice_in_dim(out, part, first, 0)
        part = jnp.where(cut.fresh(block).reshape(-1, *(1,) * (len(shape) - 1)), part, 0)
        return out + contracted(z, part, summed)

    kept = [1 if axis in summed else n for axis, n in enumerate(shape)]
    return jax.lax.fori_loop(0, cut.count, add, jnp.zeros(kept, weights.dtype))
