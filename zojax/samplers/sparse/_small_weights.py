"""Directions along the small weights alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import widened
from zojax._measurement import Estimate
from zojax._typing import Key, Params
from zojax.recipes import Directions, Masked, OneByOne, combine, masked
from zojax.samplers._dense_noise import check_dense
from zojax.samplers._kernel_views import kernels_as_matrices
from zojax.samplers._sampler import Sampler
from zojax.samplers._views import Views
from zojax.samplers.sparse._thresholds import magnitude_thresholds


class SmallWeightsState(NamedTuple):
    """State of `small_weights`.

    Attributes:
      threshold: h, a tree like params, float32; a leaf has its axes, of length 1 but for those of
        a batch.
    """

    threshold: Params


def small_weights(
    sampler: Sampler, sparsity: ArrayLike, *, views: Views = kernels_as_matrices
) -> Sampler:
    """Directions m · z with z ~ `sampler` and m_i = 1 where |x_i| ≤ h, else 0.

    h is found for each matrix when the state is made, such that a share of 1 - `sparsity` of its
    entries are small, and stays; m follows the weights from step to step. A weight that has grown
    above h rests.

    E[z zᵀ] = diag(m): c = 1 along the small weights. `covariance` says 1.

    Stores a number a matrix. The mask is made where z is read; there is none to be kept.

    Args:
      sampler: the law of z, one that is drawn entry by entry: `zojax.gaussian()`,
        `zojax.rademacher()` or `zojax.sphere()` (whose radius stays √d for all d weights).
      sparsity: share of the weights that rest, at least 0 and below 1.
      views: (path, leaf) -> which axes are a matrix, for leaves in which several are stacked.

    Raises:
      TypeError: if `sampler` is something else.
      ValueError: if a number is out of range; in `init` if z is not drawn entry by entry.

    Source: Liu et al., arXiv:2402.15751 (Sparse-MeZO), Section 3.
    """
    _checks.instance(Sampler, "zojax.gaussian()", sampler=sampler)
    _checks.below_one(sparsity=sparsity)

    def init(params: Params) -> SmallWeightsState:
        check_dense(sampler, params, "small_weights")
        return SmallWeightsState(magnitude_thresholds(params, sparsity, views))

    def _masked(state: SmallWeightsState, noise: Directions, params: Params, *queries: int):
        """Directions with the mask; every array leads with `queries`."""
        leaves = zip(noise, *map(jax.tree.leaves, (params, state.threshold)), strict=True)
        recipes = []
        for recipe, leaf, threshold in leaves:
            shared = [
                jnp.broadcast_to(array, (*queries, *array.shape)) for array in (leaf, threshold)
            ]
            recipes.append(Masked(recipe, *shared))
        return tuple(recipes)

    def draw(state: SmallWeightsState, key: Key, step: jax.Array, num_queries: int, params: Params):
        noise, _ = sampler.draw((), key, step, num_queries, params)
        return _masked(state, noise, params, num_queries), state

    def one_by_one(
        state: SmallWeightsState, key: Key, step: jax.Array, num_queries: int, params: Params
    ) -> OneByOne:
        noise, _ = sampler.draw((), key, step, num_queries, params)

        def one(query: jax.Array) -> Directions:
            return _masked(state, jax.tree.map(lambda array: array[query], noise), params)

        return OneByOne(num_queries, one)

    def combine_and_observe(
        state: SmallWeightsState, directions: Directions, measured: Estimate, params: Params
    ) -> tuple[Params, SmallWeightsState]:
        # The mask is the same in all directions: nothing is read, or held, once a query.
        noise = tuple(one.noise for one in directions)
        total = combine(measured.coefficients, noise, widened(params))
        total = jax.tree.map(masked, total, params, state.threshold)
        return optax.tree.cast_like(total, params), state

    def observe(
        state: SmallWeightsState, directions: Directions, measured: Estimate, params: Params
    ) -> SmallWeightsState:
        del directions, measured, params
        return state

    def covariance(params: Params) -> Params:
        return jax.tree.map(lambda _: 1.0, params)

    return Sampler(
        init,
        draw,
        observe,
        covariance,
        one_by_one=one_by_one,
        combine_and_observe=combine_and_observe,
    )
