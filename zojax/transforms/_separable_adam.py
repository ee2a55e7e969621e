"""Adam with second moments in the coordinates of a sampler."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import wide, widened
from zojax._mesh import Axes, AxisName
from zojax._typing import Key, Params
from zojax.estimators import EstimateGradientState, Estimator, estimate_gradient
from zojax.samplers import Sampler


class MomentsState(NamedTuple):
    """Moments of estimates; trees like those, float32 or wider.

    Attributes:
      mu: the first one.
      nu: the second one.
    """

    mu: Params
    nu: Params


def estimate_with_separable_adam(
    key: Key,
    sampler: Sampler,
    estimator: Estimator,
    *,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.99,
    eps: ArrayLike = 1e-8,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """Adam's step where estimates are g = Σ_s x_s P_s with few coordinates x.

    P_s are the directions of the sampler's coordinates, u_s v_sᵀ for a diagonal core. With the
    estimate's coordinates x_t in step t,

        m = b1 m + (1 - b1) x_t,    v = b2 v + (1 - b2) x_t²                                  (1)
        u = Σ_s m_s P_s / √(Σ_s v_s P_s² + eps)                                               (2)

    entry by entry in the second line, P_s² too. That is Adam without a correction of its bias,
    except that products x_s x_p of two coordinates, whose means are 0, are left out of the second
    moment. Leaves without coordinates are the estimate itself.

    Stores m and v in coordinates; the state is that of `zojax.estimate_gradient`, whose `inner` has
    them. Costs the loss evaluations of `estimator`. While the update is formed, the second moment
    of a leaf is alive beside it, float32.

    Args:
      key: a typed key.
      sampler: one with coordinates that can be squared: `zojax.factored` with sides that are kept.
      estimator: what to make of the losses; one without a history.
      b1: at least 0 and below 1.
      b2: at least 0 and below 1.
      eps: above 0.
      accumulate: calls that a step is made of; see `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over; see `zojax.estimate_gradient`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      ValueError: if a number is out of range, or the sampler has no such coordinates.

    Source: arXiv:2501.19057 (TeZO-Adam).
    """
    _checks.positive(eps=eps)
    if sampler.subspace is None or sampler.subspace.lift_squares is None:
        raise ValueError(
            "separable second moments need a sampler whose coordinates can be lifted with their "
            "directions squared: zojax.factored with sides that are kept (left_period, "
            "right_period) or identities"
        )
    estimate = estimate_gradient(
        key,
        sampler,
        estimator,
        inner=_first_moment(b1, b2),
        accumulate=accumulate,
        chunk_size=chunk_size,
        axis_name=axis_name,
        axes=axes,
    )

    def update_fn(
        updates: optax.Updates,
        state: EstimateGradientState,
        params: Params | None = None,
        *,
        wide_updates: bool = False,
        **extra: Any,
    ) -> tuple[optax.Updates, EstimateGradientState]:
        # (2) is formed in float32, whatever it is cast to.
        means, state = estimate.update(updates, state, params, wide_updates=True, **extra)
        squares = sampler.subspace.lift_squares(
            state.sampler, state.inner.nu, means, widened(params)
        )

        has_coordinates = jax.tree.structure(params).flatten_up_to(state.inner.nu)
        leaves, treedef = jax.tree.flatten(means)
        for place, square in enumerate(jax.tree.leaves(squares)):
            if not isinstance(has_coordinates[place], optax.MaskedNode):
                leaves[place] = leaves[place] / jnp.sqrt(square + eps)
        updates = treedef.unflatten(leaves)
        return updates if wide_updates else optax.tree.cast_like(updates, params), state

    return optax.GradientTransformationExtraArgs(estimate.init, update_fn)


def scale_by_uncorrected_adam(
    b1: ArrayLike = 0.9, b2: ArrayLike = 0.99, eps: ArrayLike = 1e-8
) -> optax.GradientTransformation:
    """Adam's m / √(v + eps) without a correction of the bias: for leaves without coordinates."""
    moments = _first_moment(b1, b2)

    def update_fn(
        updates: optax.Updates, state: MomentsState, params: Params | None = None
    ) -> tuple[optax.Updates, MomentsState]:
        means, state = moments.update(updates, state, params)
        divided = jax.tree.map(lambda m, v: m / jnp.sqrt(v + eps), means, state.nu)
        return optax.tree.cast_like(divided, updates), state

    return optax.GradientTransformation(moments.init, update_fn)


def _first_moment(b1: ArrayLike, b2: ArrayLike) -> optax.GradientTransformation:
    """Equation (1): returns m, and remembers v besides."""
    _checks.below_one(b1=b1, b2=b2)

    def init_fn(params: Params) -> MomentsState:
        def zeros() -> Params:
            return jax.tree.map(lambda x: jnp.zeros_like(x, wide(x.dtype)), params)

        return MomentsState(zeros(), zeros())

    def update_fn(
        updates: optax.Updates, state: MomentsState, params: Params | None = None
    ) -> tuple[optax.Updates, MomentsState]:
        del params
        estimate = optax.tree.cast_like(updates, state.mu)
        mu = optax.tree.update_moment(estimate, state.mu, b1, 1)
        return mu, MomentsState(mu, optax.tree.update_moment(estimate, state.nu, b2, 2))

    return optax.GradientTransformation(init_fn, update_fn)
