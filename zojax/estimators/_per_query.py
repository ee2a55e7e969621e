"""Optax links that see what each query alone says, one query after another."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from zojax._dtypes import wide
from zojax._typing import Params
from zojax.estimators._estimator import Estimator
from zojax.recipes import Directions, combine


def check(
    links: optax.GradientTransformation | None,
    estimator: Estimator,
    inner: optax.GradientTransformation | None,
) -> None:
    """Raises ValueError if the estimate is no sum over the queries of this step."""
    if links is not None and (inner is not None or estimator.history):
        other = "inner" if inner is not None else f"a history of {estimator.history} steps"
        raise ValueError(
            f"per_query does not go with {other}: it takes the place of the sum over the queries "
            "of one step; give one of them"
        )


def apply(
    links: optax.GradientTransformation,
    state: Any,
    coefficients: jax.Array,
    directions: Directions,
    params: Params,
    finite: jax.Array,
) -> tuple[Params, Any]:
    """The sum of what the links make of c_1 z_1, then c_2 z_2 ... c_K z_K, and their state.

    Every direction is drawn once; one tree is alive besides the state and the sum. If the estimate
    is not finite the sum is -0 and the state stays.
    """

    def one(carry: tuple[Params, Any], query: tuple[jax.Array, Directions]) -> tuple[Any, None]:
        total, state = carry
        c, direction = jax.tree.map(lambda array: array[None], query)
        x, state = links.update(combine(c, direction, params), state, params)
        return (jax.tree.map(lambda t, u: t + u.astype(t.dtype), total, x), state), None

    none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, wide(leaf.dtype)), params)
    (total, after), _ = jax.lax.scan(one, (none, state), (coefficients, directions))
    updates = jax.tree.map(lambda t: jnp.where(finite, t, -jnp.zeros_like(t)), total)
    kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state)
    return optax.tree.cast_like(updates, params), kept
