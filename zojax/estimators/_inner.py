"""Optax links that see the estimate in the coordinates of the sampler."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from zojax._typing import Params
from zojax.estimators._estimator import Estimator
from zojax.recipes import Directions
from zojax.samplers import Sampler


def check(
    sampler: Sampler, estimator: Estimator, inner: optax.GradientTransformation | None
) -> None:
    """Raises ValueError if there are links for coordinates, and no (lasting) coordinates."""
    if inner is not None and estimator.history:
        raise ValueError(
            f"inner does not go with an estimator that has a history of {estimator.history} steps: "
            "their directions have other coordinates; use history=0, or put the links behind "
            "estimate_gradient"
        )
    if inner is not None and sampler.subspace is None:
        raise ValueError(
            "inner needs a sampler whose directions have coordinates: zojax.blocks(...), or "
            "zojax.factored with sides that are kept (left_period, right_period) or identities; "
            "put the links behind estimate_gradient instead"
        )


def init(sampler: Sampler, inner: optax.GradientTransformation | None, params: Params) -> Any:
    return () if inner is None else sampler.subspace.init(inner, params)


def apply(
    sampler: Sampler,
    inner: optax.GradientTransformation | None,
    state: Any,
    sampler_state: Any,
    coefficients: jax.Array,
    directions: Directions,
    estimated: Params,
    params: Params,
    finite: jax.Array,
) -> tuple[Params, Any]:
    """What the inner links make of the estimate, lifted, and their state.

    Args:
      sampler: gives the coordinates.
      inner: the links; None returns `estimated`.
      state: of `estimate_gradient` before the step.
      sampler_state: after the draw.
      coefficients: (K,).
      directions: K of them.
      estimated: Σ_k c_k z_k, for the leaves without coordinates.
      params: the params.
      finite: whether the estimate is one; if not, the links' state only follows the coordinates,
        which may have moved all the same.
    """
    if inner is None:
        return estimated, ()
    space = sampler.subspace
    entered = space.enter(inner, state.inner, state.sampler, sampler_state, state.count, params)
    x = space.combine(sampler_state, state.key, state.count, coefficients, directions, params)
    x, local = inner.update(x, entered, space.restrict(sampler_state, params))
    local = jax.tree.map(lambda new, old: jnp.where(finite, new, old), local, entered)
    # Before it is lifted: XLA adds a slice lifted last in place, and reads nothing around it.
    x = jax.tree.map(lambda u: jnp.where(finite, u, -jnp.zeros_like(u)), x)
    kept = space.leave(inner, state.inner, local, sampler_state, params)
    return space.lift(sampler_state, x, estimated, params), kept
