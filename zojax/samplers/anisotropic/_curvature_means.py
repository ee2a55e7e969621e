"""The curvature of one leaf: every entry of it, or the means of its rows and columns."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax._dtypes import wide
from zojax.recipes import LowRank, MatrixView, Precomputed


class Means(NamedTuple):
    """What is kept of the curvature h of a matrix, or of a batch of them.

    Attributes:
      rows: R, the mean of each row: the leaf without its axes of columns.
      columns: C, the mean of each column: the leaf without its axes of rows.
    """

    rows: jax.Array
    columns: jax.Array


def ones_like(leaf: jax.Array, view: MatrixView | None) -> jax.Array | Means:
    """The curvature of a leaf at first; `Means` where it has a view."""
    h = jnp.ones_like(leaf, wide(leaf.dtype))
    return h if view is None else _means(h, view)


def recipe_of(h: jax.Array | Means, view: MatrixView | None) -> Precomputed | LowRank:
    """Every entry of h: of means R_i C_j / mean(R)."""
    if view is None:
        return Precomputed(h)
    kept = sorted((*view.batch, *view.rows))
    over = tuple(kept.index(axis) for axis in view.rows)
    left = h.rows / jnp.mean(h.rows, over, keepdims=True)
    return LowRank.of(view, left[..., None], h.columns[..., None])


def grown(
    h: jax.Array | Means, view: MatrixView | None, rate: ArrayLike, growth: jax.Array
) -> jax.Array | Means:
    """(1 - a) h + a h · growth, entry by entry, or its means."""
    now = recipe_of(h, view).draw(growth.shape) * growth
    now = now if view is None else _means(now, view)
    return jax.tree.map(lambda h, now: ((1 - rate) * h + rate * now).astype(h.dtype), h, now)


def _means(h: jax.Array, view: MatrixView) -> Means:
    return Means(jnp.mean(h, view.columns), jnp.mean(h, view.rows))
