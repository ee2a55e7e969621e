"""The cost model: which of several ways to contract a perturbed leaf is the cheapest."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax

from zojax import _thresholds
from zojax._axis_blocks import AxisBlocks
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


class Cut(NamedTuple):
    """An axis of a leaf, and the blocks of it that are perturbed one after another."""

    axis: int
    blocks: AxisBlocks


def cut_of_kept(leaf: Perturbed, axes: Sequence[int]) -> Cut | None:
    """Blocks of one of the axes that a product keeps; None where the leaf is small enough whole."""
    axis = _axis_to_cut(leaf, axes)
    return None if axis is None else _cut(axis, _blocks_of_kept(leaf, axis))


def cut_of_summed(leaf: Perturbed, axes: Sequence[int]) -> Cut | None:
    """Blocks of one that it sums over; each one reads and writes the whole result."""
    axis = _axis_to_cut(leaf, axes)
    if axis is None:
        return None
    return _cut(axis, _blocks(leaf, axis, _thresholds.SUMMED_BLOCK_FACTOR * leaf.budget))


def cut_of_input_features(kernel: Perturbed, axis: int) -> Cut | None:
    """Blocks of the axis of a convolution's kernel that counts the input's features.

    Each reads and writes the whole result, which is small where the kernel is large. In blocks of
    the output's features a convolution takes twice the time (64 of 512, two CPU cores).
    """
    if not kernel.recipe.grains[axis] or not kernel.base.shape[axis]:
        return None
    tile = _thresholds.TILE // 4
    return _cut(axis, _blocks(kernel, axis, kernel.budget).in_multiples_of(tile))


def _cut(axis: int, blocks: AxisBlocks) -> Cut | None:
    return Cut(axis, blocks) if blocks.count > 1 else None


def _axis_to_cut(leaf: Perturbed, axes: Sequence[int]) -> int | None:
    """The longest of these axes along which parts of the leaf can be drawn alone.

    The last axis of the leaf, along which rows run, only for want of another one; on a mesh never.
    """
    alone = [axis for axis in axes if leaf.recipe.grains[axis] and leaf.base.shape[axis]]
    if spans_devices():
        alone = [axis for axis in alone if leaf.recipe.split(axis, 1) is not None]
    others = [axis for axis in alone if not _is_last(leaf, axis)]
    axes = others or ([] if spans_devices() else alone)
    return max(axes, key=lambda axis: leaf.base.shape[axis], default=None)


def _is_last(leaf: Perturbed, axis: int) -> bool:
    return axis == leaf.base.ndim - 1


def _blocks_of_kept(leaf: Perturbed, axis: int) -> AxisBlocks:
    blocks = _blocks(leaf, axis, leaf.budget)
    if not _is_last(leaf, axis):
        return blocks
    if leaf.base.size <= _thresholds.ROW_BLOCK_FACTOR * leaf.budget:
        return blocks.whole()
    tile = _thresholds.TILE if blocks.length > _thresholds.TILE else _thresholds.TILE // 2
    return blocks.in_multiples_of(tile)


def _blocks(leaf: Perturbed, axis: int, budget: int) -> AxisBlocks:
    count = max(math.ceil(leaf.base.size / budget), 1)
    blocks = AxisBlocks.of_count(leaf.base.shape[axis], min(count, _thresholds.MOST_BLOCKS))
    return blocks.rounded_to(leaf.recipe.grains[axis])
