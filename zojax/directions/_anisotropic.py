"""Gaussian directions that learn where the loss curves."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks, _keys
from zojax._keys import Role
from zojax._typing import Key, Params
from zojax.directions._dense import dense_recipes
from zojax.directions._laws import GAUSSIAN, draw_arrays
from zojax.directions._root import Root, size_of
from zojax.directions._sampler import Directions, Sampler, ignore, ones
from zojax.directions._sum import Sum
from zojax.directions._views import MatrixView, Views, checked_view, last_two_axes


class AnisotropicState(NamedTuple):
    """State of `anisotropic`.

    Attributes:
      curvature: a, a tree like params, float32; a leaf has its axes but for the rows.
    """

    curvature: Params


def anisotropic(
    rho: ArrayLike,
    *,
    rate: ArrayLike,
    structure: str = "row_blocks",
    init_scale: ArrayLike = 1.0,
    views: Views = last_two_axes,
) -> Sampler:
    """Z = R u with u ~ N(0, I) and R Rᵀ = ρ (ρ I + a aᵀ)⁻¹ on every leaf, a being learned.

    Each leaf is a matrix, or a batch of them, with its own a of one number a column, and R the
    positive-definite root: it acts on every row ("row_blocks"), or on all rows as one vector along
    1 ⊗ a ("whole_tensor"). After a step's losses, with coefficients c_k,

        a ← a - rate · Σ_k c_k S(z_k),    S = √ρ ∇_a log p(z)                                  (1)

    follows the score of the law downhill in the expected loss. Directions are measured and applied
    with one a; it moves in between.

    E[z zᵀ] = R Rᵀ, so c = 1 in every direction but a's, where it is ρ / (ρ + ‖a‖²), or with m rows
    ρ / (ρ + m ‖a‖²) for the whole tensor. `covariance` says 1.

    Stores a. The noise of a query is drawn once more for R, and once more for (1) unless `rate` is
    0: of one query after another, never as a whole.

    Args:
      rho: ρ, above 0; the larger, the closer the law is to N(0, I).
      rate: how far a moves, at least 0.
      structure: "row_blocks" or "whole_tensor".
      init_scale: standard deviation of the first a, at least 0. With 0 the law is N(0, I), and
        stays it: S is 0 at a = 0.
      views: (path, leaf) -> which axes are rows and columns. A leaf without a view is one row.

    Raises:
      ValueError: for a number out of range, an unknown structure, or a view that does not fit.
    """
    _checks.positive(rho=rho)
    _checks.not_negative(rate=rate, init_scale=init_scale)
    _checks.one_of(("row_blocks", "whole_tensor"), structure=structure)

    def init(params: Params) -> AnisotropicState:
        leaves, treedef = jax.tree.flatten(params)
        shapes = [
            [n for axis, n in enumerate(leaf.shape) if axis not in view.rows]
            for leaf, view in zip(leaves, _views_of(params, views), strict=True)
        ]
        zeros = [jnp.zeros(shape, jnp.float32) for shape in shapes]
        return AnisotropicState(treedef.unflatten(zeros))

    def draw(state: AnisotropicState, key: Key, step: jax.Array, num_queries: int, params: Params):
        curvature = jax.lax.cond(
            step == 0,
            lambda: _first_curvature(key, params, state.curvature, init_scale),
            lambda: state.curvature,
        )
        root = Root.of(rho, structure, sum(leaf.size for leaf in jax.tree.leaves(params)))
        directions = jax.lax.map(
            lambda key: _direction(key, params, views, root, curvature),
            _keys.query_keys(key, step, num_queries),
        )
        return directions, AnisotropicState(curvature)

    def observe(state: AnisotropicState, directions: Directions, coefficients: jax.Array):
        old, treedef = jax.tree.flatten(state.curvature)
        one = jax.tree.map(lambda array: array[0], directions)
        root = Root.of(rho, structure, sum(size_of(recipe) for recipe in one))
        moves = [rate * c for c in _sum_of_scores(root, directions, coefficients, old)]
        new = [(a - move).astype(a.dtype) for a, move in zip(old, moves, strict=True)]
        return AnisotropicState(treedef.unflatten(new))

    fixed = isinstance(rate, (int, float)) and rate == 0
    return Sampler(init, draw, ignore if fixed else observe, ones)


def _views_of(params: Params, views: Views) -> list[MatrixView]:
    """The view of every leaf; a leaf without one is a single row."""
    seen = []
    for path, leaf in jax.tree.leaves_with_path(params):
        row = MatrixView(rows=(), columns=tuple(range(leaf.ndim)))
        seen.append(checked_view(views, path, leaf) or row)
    return seen


def _first_curvature(key: Key, params: Params, like: Params, scale: ArrayLike) -> Params:
    leaves, treedef = jax.tree.flatten(like)
    keys = _keys.leaf_keys(_keys.refresh_key(key, jnp.int32(0)), params, Role.CURVATURE)
    drawn = draw_arrays(GAUSSIAN, keys, [leaf.shape or (1,) for leaf in leaves])
    scaled = [
        (scale * array).astype(leaf.dtype).reshape(leaf.shape)
        for array, leaf in zip(drawn, leaves, strict=True)
    ]
    return treedef.unflatten(scaled)


def _direction(key: Key, params: Params, views: Views, root: Root, curvature: Params) -> Directions:
    """One direction, with a query's key."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    keys = _keys.leaf_keys(key, params, Role.DIRECTION)
    noise = dense_recipes(GAUSSIAN, keys, shapes)
    leaves = zip(noise, shapes, _views_of(params, views), jax.tree.leaves(curvature), strict=True)
    recipes: list[Sum] = []
    for rows, shape, view, a in leaves:
        # Noise is drawn after that of the leaf before it is done with.
        datum = recipes[-1].parts[1].left if recipes else a
        recipes.append(root.apply(rows, shape, view, a, datum))
    return tuple(recipes)


def _sum_of_scores(
    root: Root, directions: Directions, coefficients: jax.Array, curvature: list[jax.Array]
) -> list[jax.Array]:
    """Σ_k c_k S(z_k) of every leaf, one query after another."""

    def add(k: jax.Array, sums: list[jax.Array]) -> list[jax.Array]:
        one = jax.tree.map(lambda array: array[k], directions)
        scores: list[jax.Array] = []
        for recipe, a in zip(one, curvature, strict=True):
            scores.append(root.score(recipe, a, scores[-1] if scores else a))
        c = coefficients[k].astype(jnp.float32)
        return [total + c * score for total, score in zip(sums, scores, strict=True)]

    zeros = [jnp.zeros_like(a) for a in curvature]
    return jax.lax.fori_loop(0, coefficients.shape[0], add, zeros)
