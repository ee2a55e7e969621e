"""Updates of the small weights alone."""

from typing import NamedTuple

import jax
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._typing import Params
from zojax.recipes import masked
from zojax.samplers import Views, kernels_as_matrices, magnitude_thresholds


class RestLargeWeightsState(NamedTuple):
    """State of `rest_large_weights`.

    Attributes:
      threshold: h, see `zojax.small_weights`.
    """

    threshold: Params


def rest_large_weights(
    sparsity: ArrayLike, *, views: Views = kernels_as_matrices
) -> optax.GradientTransformation:
    """Makes updates 0 where |x| > h, the h of `zojax.small_weights` with the same arguments.

    For what links behind its directions add to an update, such as weight decay.

    Stores a number a matrix. No loss evaluation.

    Args:
      sparsity: share of the weights that rest, at least 0 and below 1.
      views: (path, leaf) -> which axes are a matrix.

    Raises:
      ValueError: if a number is out of range; in `update` without `params`.
    """
    _checks.below_one(sparsity=sparsity)

    def init_fn(params: Params) -> RestLargeWeightsState:
        return RestLargeWeightsState(magnitude_thresholds(params, sparsity, views))

    def update_fn(
        updates: optax.Updates, state: RestLargeWeightsState, params: Params | None = None
    ) -> tuple[optax.Updates, RestLargeWeightsState]:
        _checks.given("rest_large_weights", params=params)
        return jax.tree.map(masked, updates, params, state.threshold), state

    return optax.GradientTransformation(init_fn, update_fn)
