"""The cost model: which of several ways to contract a perturbed leaf is the cheapest."""

import math
from collections.abc import Sequence

import jax

from zojax import _thresholds
from zojax._dtypes import wide
from zojax._mesh import spans_devices
from zojax.evaluation._perturbed import Perturbed


def cheaper_multiplied_out(leaf: Perturbed, x: jax.Array, tokens: int) -> bool:
    """Whether a CPU forms W + r L · Rᵀ in less time than x takes through L and Rᵀ.

    Through the rank, that is a product for each token and another array of the size of the result;
    multiplied out, one for each weight, and weights to write and read. In narrow dtypes the sum
    would round what is added to the result as it is. On a mesh factors stay where they are.

    Args:
      leaf: with factors for a recipe.
      x: what it is contracted with.
      tokens: entries of x along the axes that it keeps.
    """
    factors, rank = leaf.recipe, leaf.recipe.left.shape[-1]
    exact = all(wide(dtype) == dtype for dtype in leaf.dtypes)
    if rank <= _thresholds.FUSED_RANK or not exact or spans_devices() or not x.size:
        return False
    through = tokens * (factors.left.size + factors.right.size)
    return through > leaf.base.size * (rank + _thresholds.MULTIPLICATIONS_AN_ENTRY)


def axis_to_cut(leaf: Perturbed, axes: Sequence[int]) -> int | None:
    """The longest of these axes along which parts of the leaf can be drawn alone."""
    alone = [axis for axis in axes if leaf.recipe.axes[axis] is not None]
    return max(alone, key=lambda axis: leaf.base.shape[axis], default=None)


def blocks_of_kept(leaf: Perturbed, axis: int) -> int:
    """How many blocks of an axis that the product keeps are perturbed one after another."""
    return _blocks(leaf, axis, leaf.budget)


def blocks_of_summed(leaf: Perturbed, axis: int) -> int:
    """How many of an axis that is summed over; each one reads and writes the whole result."""
    return _blocks(leaf, axis, _thresholds.SUMMED_BLOCK_FACTOR * leaf.budget)


def _blocks(leaf: Perturbed, axis: int, budget: int) -> int:
    count = math.ceil(leaf.base.size / budget)
    return min(count, leaf.base.shape[axis], _thresholds.MOST_BLOCKS)


def combs(size: int, blocks: int) -> int | None:
    """How many combs an axis is cut into, each with every so many-th entry; None for blocks.

    On a mesh a block of an axis may lie on one device, and would be sent to the others. A comb has
    its teeth on all of them, where the axis is cut at all.
    """
    if not spans_devices():
        return None
    return next((n for n in range(blocks, 2 * blocks + 1) if size % n == 0), None)
