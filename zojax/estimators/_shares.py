"""Who regenerates the directions of an update, where groups of devices share the queries."""

import jax
import optax

from zojax import _thresholds
from zojax._dtypes import wide
from zojax._mesh import Axes, query_groups, sum_over_queries
from zojax._typing import Params
from zojax.recipes import Dense, Directions, combine


def combine_shared(
    coefficients: jax.Array,
    directions: Directions,
    params: Params,
    axes: Axes,
    *,
    read_once: bool,
) -> Params:
    """`combine`, by each group for itself or with one reduction of the size of the params."""
    if not _reduces(directions, axes):
        return combine(coefficients, directions, params, read_once=read_once)
    like = jax.tree.map(lambda leaf: leaf.astype(wide(leaf.dtype)), params)
    total = sum_over_queries(lambda share: combine(*share, like), (coefficients, directions), axes)
    return optax.tree.cast_like(total, params)


def _reduces(directions: Directions, axes: Axes) -> bool:
    """Whether each group regenerates its own directions alone."""
    groups = query_groups(axes)
    if groups == 1 or axes.query_update != "auto":
        return groups > 1 and axes.query_update == "share"
    count = jax.tree.leaves(directions)[0].shape[0]
    if not all(isinstance(recipe, Dense) for recipe in directions):
        return False
    bits = max((recipe.law.bits for recipe in directions), default=0)
    return (count - count // groups) * bits >= _thresholds.REDUCED_BITS
