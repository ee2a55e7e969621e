"""Updates that keep params in a box."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._typing import Params


def project_to_box(
    lower: ArrayLike | Params, upper: ArrayLike | Params
) -> optax.GradientTransformation:
    """Shortens updates such that params stay in lower ≤ x ≤ upper; the last link of a chain.

        u ← clip(x + u, lower, upper) - x

    Where x + u is inside, u passes unchanged; elsewhere `optax.apply_updates` lands on the bound,
    up to the rounding of that sum in the leaf's dtype. Params that start outside are brought in.

    The clipped point is the nearest of the box in every metric Σ_i w_i (a_i - b_i)² with weights
    w_i > 0: the sum falls apart into one problem for each entry, and its weight does not move that
    one's minimizer. So adaptive methods need no other projection (ZO-AdaMM states its own with
    weights √v̂); they would for a set that ties entries together, like a ball.

    Stores nothing. No loss evaluation.

    Args:
      lower: a number for all entries (-inf for none), or a tree like params of arrays that
        broadcast to its leaves.
      upper: the same, nowhere below `lower`.

    Raises:
      ValueError: if a bound is nan or no number, or `lower` is above `upper`; in `update` without
        params.
    """
    _check(lower, upper)

    def update_fn(
        updates: optax.Updates, state: optax.EmptyState, params: Params | None = None
    ) -> tuple[optax.Updates, optax.EmptyState]:
        _checks.given("project_to_box", params=params)
        low, high = _for_all(lower, params), _for_all(upper, params)
        return jax.tree.map(_shortened, updates, params, low, high), state

    return optax.GradientTransformation(optax.init_empty_state, update_fn)


def _shortened(u: jax.Array, x: jax.Array, low: ArrayLike, high: ArrayLike) -> jax.Array:
    moved = x + u
    outside = (moved < low) | (moved > high)
    # What stays inside is not touched: (x + u) - x would lose digits of a small u.
    return jnp.where(outside, jnp.clip(moved, low, high) - x, u).astype(u.dtype)


def _for_all(bound: ArrayLike | Params, params: Params) -> Params:
    """A tree of bounds like params; a single one is that of every leaf."""
    if not jax.tree_util.all_leaves([bound]):
        return bound
    return jax.tree.map(lambda _: bound, params)


def _check(lower: ArrayLike | Params, upper: ArrayLike | Params) -> None:
    """Compares the numbers that are known before tracing."""
    for name, bound in {"lower": lower, "upper": upper}.items():
        leaves = jax.tree.leaves(bound)
        if not leaves or not all(map(_checks.is_real, leaves)):
            raise ValueError(
                f"{name} must be a number (inf for no bound), or a tree like params of arrays, got "
                f"{bound!r}"
            )
    low, high = _for_all(lower, upper), _for_all(upper, lower)
    for pair in zip(jax.tree.leaves(low), jax.tree.leaves(high), strict=True):
        if any(isinstance(bound, jax.core.Tracer) for bound in pair):
            continue
        small, large = np.broadcast_arrays(*pair)
        wrong = ~(small <= large)  # also where one is nan
        if wrong.any():
            raise ValueError(
                f"lower must be nowhere above upper and neither nan, got lower={small[wrong][0]}, "
                f"upper={large[wrong][0]}"
            )
