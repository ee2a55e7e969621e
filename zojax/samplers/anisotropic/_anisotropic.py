"""Gaussian directions that learn where the loss curves."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Estimate
from zojax._typing import Key, Params
from zojax.noise import Law, Role, _keys, draw_arrays, gaussian_law
from zojax.recipes import (
    Deflated,
    Directions,
    MatrixView,
    Recipe,
    Sum,
    dense_recipes,
    sum_deflated,
    sum_draws,
)
from zojax.recipes._recipe import query
from zojax.samplers._sampler import Sampler, ignore, ones
from zojax.samplers._views import Views, checked_view, last_two_axes
from zojax.samplers.anisotropic._root import Root


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
    bits: int = 8,
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

    Stores a. The noise of a query is drawn twice, as without R: where the loss meets it, and for
    the estimate and (1) together. Of matrices with more than 1/32 of all entries it is drawn once
    more to sample R, and once more for (1) unless `rate` is 0. All of it a matrix, a layer of a
    stack or a block at a time, of one query after another.

    Args:
      rho: ρ, above 0; the larger, the closer the law is to N(0, I).
      rate: how far a moves, at least 0.
      structure: "row_blocks" or "whole_tensor".
      init_scale: standard deviation of the first a, at least 0. With 0 the law is N(0, I), and
        stays it: S is 0 at a = 0.
      views: (path, leaf) -> which axes are rows and columns. A leaf without a view is one row.
      bits: random bits of a number of u, 8, 16 or 32; see `gaussian`.

    Raises:
      ValueError: for a number out of range, an unknown structure, another number of bits, or a view
        that does not fit.
    """
    _checks.positive(rho=rho)
    _checks.not_negative(rate=rate, init_scale=init_scale)
    _checks.one_of(("row_blocks", "whole_tensor"), structure=structure)
    _checks.one_of((8, 16, 32), bits=bits)
    law = gaussian_law(bits)

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
        directions = jax.lax.map(
            lambda key: _direction(law, key, params, views, root_of(params), curvature),
            _keys.query_keys(key, step, num_queries),
        )
        return directions, AnisotropicState(curvature)

    def combine_and_observe(
        state: AnisotropicState, directions: Directions, measured: Estimate, params: Params
    ) -> tuple[Params, AnisotropicState]:
        old, treedef = jax.tree.flatten(state.curvature)
        sums, scores = _sums_and_scores(
            root_of(params), measured.coefficients, directions, params, views, old
        )
        new = [(a - rate * score).astype(a.dtype) for a, score in zip(old, scores, strict=True)]
        estimate = jax.tree.unflatten(jax.tree.structure(params), sums)
        return estimate, AnisotropicState(treedef.unflatten(new))

    def observe(
        state: AnisotropicState, directions: Directions, measured: Estimate, params: Params
    ) -> AnisotropicState:
        return combine_and_observe(state, directions, measured, params)[1]

    def root_of(params: Params) -> Root:
        return Root.of(rho, structure, sum(leaf.size for leaf in jax.tree.leaves(params)))

    if isinstance(rate, (int, float)) and rate == 0:
        return Sampler(init, draw, ignore, ones)
    return Sampler(init, draw, observe, ones, combine_and_observe=combine_and_observe)


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
    drawn = draw_arrays(gaussian_law(32), keys, [leaf.shape or (1,) for leaf in leaves])
    scaled = [
        (scale * array).astype(leaf.dtype).reshape(leaf.shape)
        for array, leaf in zip(drawn, leaves, strict=True)
    ]
    return treedef.unflatten(scaled)


def _direction(
    law: Law, key: Key, params: Params, views: Views, root: Root, curvature: Params
) -> Directions:
    """One direction, with a query's key."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    keys = _keys.leaf_keys(key, params, Role.DIRECTION)
    noise = dense_recipes(law, keys, shapes)
    leaves = zip(noise, shapes, _views_of(params, views), jax.tree.leaves(curvature), strict=True)
    recipes: list[Recipe] = []
    sums: list[Sum] = []
    for rows, shape, view, a in leaves:
        # What is drawn here is drawn after that of the leaf before it is done with.
        datum = sums[-1].parts[1].left if sums else a
        recipes.append(root.apply(rows, shape, view, a, datum) if math.prod(shape) else rows)
        if isinstance(recipes[-1], Sum):
            sums.append(recipes[-1])
    return tuple(recipes)


def _sums_and_scores(
    root: Root,
    coefficients: jax.Array,
    directions: Directions,
    params: Params,
    views: Views,
    curvature: list[jax.Array],
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Σ_k c_k z_k and Σ_k c_k S(z_k) of every leaf, one after another."""
    sums: list[jax.Array] = []
    scores: list[jax.Array] = []
    leaves = zip(
        directions, jax.tree.leaves(params), _views_of(params, views), curvature, strict=True
    )
    for recipe, leaf, view, a in leaves:
        # Waiting for the leaf before leaves room to add its sum to where it belongs, and forget it.
        before = scores[-1] if scores else a
        if not leaf.size:
            sums.append(jnp.zeros_like(leaf))
            scores.append(jnp.zeros_like(a))
            continue
        if isinstance(recipe, Deflated):
            total, products = sum_deflated(coefficients, recipe, leaf.shape, leaf.dtype, before)
        else:
            products = _products(root, coefficients, recipe, leaf.shape, view, before)
            total = sum_draws(coefficients, recipe, leaf, products)
        sums.append(total)
        scores.append(root.score(jnp.sum(coefficients), products, leaf.shape, view, a))
    return sums, scores


def _products(
    root: Root,
    coefficients: jax.Array,
    recipes: Sum,
    shape: tuple[int, ...],
    view: MatrixView,
    before: jax.Array,
) -> jax.Array:
    """Σ_k c_k Σ_i l_ki z_ki, one query after another."""

    def of_query(k: jax.Array | int, datum: jax.Array) -> jax.Array:
        one = query(recipes, k)
        return coefficients[k] * root.products(one, shape, view, datum)

    none = jnp.zeros_like(jax.eval_shape(lambda: of_query(0, before)))
    return jax.lax.fori_loop(
        0, coefficients.shape[0], lambda k, total: total + of_query(k, total), none
    )
