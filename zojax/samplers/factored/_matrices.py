"""The matrices that a factored sampler sees in params."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zojax import _checks
from zojax._typing import Params
from zojax.recipes import LowRank, MatrixView
from zojax.samplers._views import Views, checked_view


class Kinds(NamedTuple):
    """Of which kind each part of scale · L · core · Rᵀ is; random bits of a gaussian number."""

    left: str
    core: str
    right: str
    bits: int

    def check(self) -> None:
        """Raises ValueError for an unknown kind, or kinds that leave nothing factored."""
        _checks.one_of(("gaussian", "haar", "identity"), left=self.left, right=self.right)
        _checks.one_of(("identity", "diagonal", "gaussian"), core=self.core)
        _checks.one_of((8, 16, 32), bits=self.bits)
        identities = (self.left, self.right).count("identity")
        if identities == 2 or (identities == 1 and self.core != "gaussian"):
            raise ValueError(
                f"left={self.left!r}, core={self.core!r}, right={self.right!r} leaves nothing "
                "factored: one identity part needs core='gaussian' and the other part gaussian or "
                "haar; for an unfactored direction use zojax.gaussian()"
            )


class Matrix(NamedTuple):
    """A leaf that is a matrix, or a batch of them.

    Attributes:
      view: which of its axes are rows, columns and batch.
      shape: of the leaf.
      m: rows of one matrix.
      n: columns of one matrix.
      shapes: of the parts "left", "core" and "right"; batch axes lead.
      scale: in front of L · core · Rᵀ.
      covariance: c in E[z zᵀ] = c P.
    """

    view: MatrixView
    shape: tuple[int, ...]
    m: int
    n: int
    shapes: dict[str, tuple[int, ...]]
    scale: float
    covariance: float

    def flattened(self, leaf: jax.Array) -> jax.Array:
        """A leaf of this shape as (*batch, m, n)."""
        axes = (*self.view.batch, *self.view.rows, *self.view.columns)
        batch = (self.shape[axis] for axis in self.view.batch)
        return jnp.transpose(leaf, axes).reshape(*batch, self.m, self.n)

    def factors(self, left: jax.Array, right: jax.Array) -> LowRank:
        """The recipe of the leaf from factors (*batch, m, rank) and (*batch, n, rank)."""
        view = self.view
        return LowRank.of(
            view,
            _unflatten(left, self.shape, view.batch, view.rows),
            _unflatten(right, self.shape, view.batch, view.columns),
            self.scale,
        )


def matrices(
    params: Params, views: Views, kinds: Kinds, rank: int, scale: float | None
) -> list[Matrix | None]:
    """For every leaf of params the matrix that it is, or None."""
    seen = []
    for path, leaf in jax.tree.leaves_with_path(params):
        view = checked_view(views, path, leaf) if leaf.size else None
        seen.append(None if view is None else _matrix(view, leaf.shape, kinds, rank, scale))
    return seen


def _matrix(view, shape, kinds: Kinds, rank: int, scale: float | None) -> Matrix:
    m, n = view.sizes(shape)
    batch = tuple(shape[axis] for axis in view.batch)
    rank = min(rank, m, n)
    columns = {"left": m if kinds.left == "identity" else rank}
    columns["right"] = n if kinds.right == "identity" else rank
    core = (columns["left"], columns["right"]) if kinds.core == "gaussian" else (1, rank)
    shapes = {
        "left": (*batch, m, columns["left"]),
        "core": (*batch, *core),
        "right": (*batch, n, columns["right"]),
    }
    pairs = math.prod(core)
    square = pairs * (1 if kinds.left == "gaussian" else 1 / m)
    square *= 1 if kinds.right == "gaussian" else 1 / n
    if scale is None:
        return Matrix(view, shape, m, n, shapes, 1 / math.sqrt(square), 1.0)
    return Matrix(view, shape, m, n, shapes, scale, scale**2 * square)


def _unflatten(part: jax.Array, shape, batch: tuple[int, ...], side: tuple[int, ...]) -> jax.Array:
    """(*batch, side, rank) -> the leaf's own axes in their order, then the rank."""
    axes = (*batch, *side)
    part = part.reshape(*(shape[axis] for axis in axes), part.shape[-1])
    order = sorted(range(len(axes)), key=lambda place: axes[place])
    return part.transpose(*order, len(axes))
