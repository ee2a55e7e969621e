"""Directions of earlier steps, drawn again: nothing is stored for them."""

from typing import Any

import jax
import jax.numpy as jnp

from zojax._typing import Params
from zojax.estimators._estimator import Estimator
from zojax.recipes import Directions
from zojax.samplers import Sampler


def check(sampler: Sampler, estimator: Estimator) -> None:
    """Raises ValueError if the estimator needs earlier directions that are gone."""
    if estimator.history and sampler.recall is None:
        raise ValueError(
            f"the estimator has a history of {estimator.history} steps, but this sampler cannot "
            "draw directions of earlier steps again, because they depend on what was measured "
            "since; use history=0, or a sampler without memory such as zojax.gaussian()"
        )


def directions(
    sampler: Sampler, estimator: Estimator, now: Directions, state: Any, params: Params
) -> Directions:
    """Those of this step, then those of 1...H steps ago: (H + 1) K recipes, axis 0 of each array.

    Before the first step there are none; what stands in their place has to meet coefficients 0.
    """
    if not estimator.history:
        return now
    steps = jnp.maximum(state.count - 1 - jnp.arange(estimator.history), 0)
    past = jax.lax.map(
        lambda step: sampler.recall(state.key, step, estimator.num_queries, params), steps
    )
    return jax.tree.map(
        lambda now, past: jnp.concatenate([now, past.reshape(-1, *now.shape[1:])]), now, past
    )
