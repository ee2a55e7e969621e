"""Directions along single entries of params."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from zojax._typing import Params
from zojax.recipes import Directions, LowRank, MatrixView


def entry_of(entry: jax.Array, params: Params, scale: jax.Array | float) -> Directions:
    """Scale · e_i of the entry of params with this number, uint32, below 2³¹."""
    leaves = jax.tree.leaves(params)
    starts = np.cumsum([0, *(leaf.size for leaf in leaves)])
    recipes = []
    for leaf, start in zip(leaves, starts[:-1], strict=True):
        # Before the leaf this wraps around to a number that is no entry of it.
        within = entry - jnp.uint32(start)
        row, column = jnp.divmod(within, jnp.uint32(max(matrix_of(leaf.shape)[1], 1)))
        recipes.append(unit(leaf, row, column, scale * (within < leaf.size)))
    return tuple(recipes)


def matrix_of(shape: Sequence[int]) -> tuple[int, int]:
    """Numbers of rows and of columns: the last axis is a row."""
    return math.prod(shape[:-1]), shape[-1] if shape else 1


def unit(leaf: jax.Array, row: jax.Array, column: jax.Array, scale: jax.Array) -> LowRank:
    """Scale · e_i of a leaf, i in this row and column."""
    rows, columns = matrix_of(leaf.shape)
    left = scale * jax.nn.one_hot(row, rows, dtype=jnp.float32)
    right = jax.nn.one_hot(column, columns, dtype=jnp.float32)
    axes = tuple(range(leaf.ndim))
    view = MatrixView(rows=axes[:-1], columns=axes[-1:])
    return LowRank.of(view, left.reshape(*leaf.shape[:-1], 1), right.reshape(*leaf.shape[-1:], 1))
