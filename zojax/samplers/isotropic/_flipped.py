"""Directions of a step that share dense noise, and differ by signs of its rows and columns."""

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._dtypes import widened
from zojax._measurement import Estimate
from zojax._schedule import make_after
from zojax._typing import Key, Params
from zojax.noise import RADEMACHER, Role, _keys, draw_arrays
from zojax.recipes import (
    Directions,
    Flipped,
    LowRank,
    MatrixView,
    OneByOne,
    combine,
    query,
)
from zojax.samplers._dense_noise import check_dense
from zojax.samplers._sampler import Sampler, ignore
from zojax.samplers._views import last_two_axes
from zojax.samplers.isotropic._dense import gaussian


def flipped(noise: Sampler | None = None) -> Sampler:
    """z_k = U ∘ (s_k t_kᵀ) for matrices, U ∘ s_k for vectors: U for a step, signs for a query.

        E[z_k z_kᵀ] = c I,    E[z_j z_kᵀ | U] = 0 for j ≠ k                                     (1)

    with the c of `noise`; s and t are uniform on {-1, 1}^m and {-1, 1}^n. Directions of a step are
    uncorrelated, not independent: |z_k| is the same for all.

    A product x · (W + r z_k) is x · W + r ((x ∘ s_k) · U) ∘ t_k. Queries that are evaluated side by
    side (`chunk_size`) share both products and the draw of U, where queries with noise of their own
    have a perturbed weight each: so that each may see a batch of its own, even of one example, and
    all of them together take about twice as long as a plain forward of those batches. The sum of an
    update is U ∘ Σ_k c_k s_k t_kᵀ, and draws U once. Where activations are narrower than float32, U
    is rounded to their dtype before it meets them.

    Stores nothing; signs are drawn, m + n of a matrix and query.

    Args:
      noise: of U; dense, and without memory, as `rademacher()` is. None: `gaussian()`.

    Raises:
      ValueError: in `init` if `noise` draws something else.

    Source: Wen, Vicol, Ba, Tran, Grosse, "Flipout: efficient pseudo-independent weight
    perturbations on mini-batches", ICLR 2018, arXiv:1803.04386, equation (4).
    """
    noise = gaussian() if noise is None else noise

    def init(params: Params) -> tuple[()]:
        check_dense(noise, params, "flipped")
        return ()

    def one_by_one(
        state: tuple[()], key: Key, step: jax.Array, num_queries: int, params: Params
    ) -> OneByOne:
        del state
        shared = query(noise.recall(key, step, 1, params), 0)
        keys = _keys.query_keys(key, step, num_queries)

        def one(k: jax.Array) -> Directions:
            pairs = zip(shared, _signs(keys[k], params), strict=True)
            return tuple(Flipped(u, signs) for u, signs in pairs)

        return OneByOne(num_queries, one)

    def recall(key: Key, step: jax.Array, num_queries: int, params: Params) -> Directions:
        _, one = one_by_one((), key, step, num_queries, params)
        return jax.vmap(one)(jnp.arange(num_queries))

    def draw(
        state: tuple[()], key: Key, step: jax.Array, num_queries: int, params: Params
    ) -> tuple[Directions, tuple[()]]:
        return recall(key, step, num_queries, params), state

    def combine_and_observe(
        state: tuple[()], directions: Directions, measured: Estimate, params: Params
    ) -> tuple[Params, tuple[()]]:
        signs = [recipe.signs.weighted_sum(measured.coefficients) for recipe in directions]
        # Noise is used up as it is drawn, if what it is multiplied with is there.
        drawn = sum(jnp.ravel(factors.left)[0] for factors in signs)
        one = make_after(lambda one: one, jnp.ones(1), drawn)
        shared = jax.tree.map(lambda array: array[:1], tuple(u.noise for u in directions))
        noise = combine(one, shared, widened(params), read_once=True)
        leaves, treedef = jax.tree.flatten(params)
        updates, before = [], drawn
        for u, factors, leaf in zip(jax.tree.leaves(noise), signs, leaves, strict=True):
            product, before = _multiplied_out(factors, leaf.shape, before)
            updates.append((u * product).astype(leaf.dtype))
        return treedef.unflatten(updates), state

    return Sampler(
        init,
        draw,
        ignore,
        noise.covariance,
        recall,
        one_by_one=one_by_one,
        combine_and_observe=combine_and_observe,
    )


def _signs(key: Key, params: Params) -> list[LowRank]:
    """Those of each leaf, with a query's key."""
    leaves = jax.tree.leaves(params)
    views = [last_two_axes((), leaf) or _one_column(leaf) for leaf in leaves]
    shapes = [
        [leaf.shape[axis] for axis in (*view.batch, *side)]
        for leaf, view in zip(leaves, views, strict=True)
        for side in (view.rows, view.columns)
    ]
    keys = [_keys.leaf_keys(key, params, role) for role in (Role.LEFT, Role.RIGHT)]
    in_turn = jnp.stack(keys, 1).reshape(-1)
    drawn = draw_arrays(RADEMACHER, in_turn, [tuple(shape) for shape in shapes])
    factors = [signs[..., None] for signs in drawn]
    return [
        LowRank.of(view, left, right)
        for view, left, right in zip(views, factors[::2], factors[1::2], strict=True)
    ]


def _multiplied_out(
    signs: LowRank, shape: tuple[int, ...], before: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Σ_k c_k s_k t_kᵀ of a leaf, and what the next one waits for.

    Of few directions it is an expression that fuses with what it is multiplied with; of more a
    product with a buffer for its result, of one leaf after another.
    """
    if signs.left.shape[-1] > _thresholds.SIGNS_RANK:
        product = signs.draw(shape, before)
        return product, product
    return signs.written_out(), before


def _one_column(leaf: jax.Array) -> MatrixView:
    """The view of a vector or a number."""
    return MatrixView(rows=tuple(range(leaf.ndim)), columns=())
