"""Adam whose moments are made again from the coefficients of the steps so far."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zojax import _checks
from zojax._dtypes import wide, widened
from zojax._mesh import Axes, AxisName
from zojax._schedule import true_after
from zojax._typing import Key, Params
from zojax.estimators import EstimateGradientState, Estimator, estimate_gradient
from zojax.recipes import Recipe, combine
from zojax.samplers import Sampler


class ReplayedAdamState(NamedTuple):
    """State of `estimate_with_replayed_adam`.

    Attributes:
      estimate: that of the estimate, see `zojax.estimate_gradient`.
      replayed: coefficients of this step and those before it, newest first, (history, K).
    """

    estimate: EstimateGradientState
    replayed: jax.Array


def estimate_with_replayed_adam(
    key: Key,
    sampler: Sampler,
    estimator: Estimator,
    *,
    history: int,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """Adam's step for zeroth-order estimates, without moments in memory.

    With the estimates ĝ_τ = Σ_k c_{τ,k} z_{τ,k} of the last h steps, drawn again leaf by leaf,

        m = (1 - β₁) Σ_τ β₁^{t-τ} ĝ_τ,    v = (1 - β₂) Σ_τ β₂^{t-τ} ĝ_τ²                       (1)
        u = m / (1 - β₁^t) / (√(v / (1 - β₂^t)) + ε)                                        (2)

    Up to step h this is `estimate_gradient` followed by `optax.scale_by_adam`, up to rounding;
    later it leaves out what has the weights β₁^h and β₂^h and less.

    Costs the loss evaluations of `estimator`, and h K regenerations of each leaf a step, which is
    quadratic in the length of a run with h = its steps. Stores h K scalars; with factored
    directions a step also holds the factors of h K of them, and one leaf's moments at a time.

    Args:
      key: a typed key.
      sampler: where to look.
      estimator: what to make of the losses; one without a history.
      history: h, at least 1.
      b1: β₁ in [0, 1).
      b2: β₂ in [0, 1).
      eps: ε, at least 0.
      accumulate: calls that a step is made of; see `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over; see `zojax.estimate_gradient`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      ValueError: if a number is out of range, the sampler cannot draw earlier directions again, or
        the estimator has a history. In `update` if the restored state has another length.

    Source: Malladi et al., arXiv:2305.17333, Appendix B.2.
    """
    _checks.at_least(1, history=history)
    _checks.below_one(b1=b1, b2=b2)
    _checks.not_negative(eps=eps)
    if estimator.history or sampler.recall is None:
        raise ValueError(
            "moments are replayed from one row of coefficients a step and directions that can be "
            "drawn again: use an estimator without a history such as zojax.central(radius), and a "
            "sampler that does not learn such as zojax.gaussian()"
        )
    estimate = estimate_gradient(
        key,
        sampler,
        estimator,
        accumulate=accumulate,
        chunk_size=chunk_size,
        axis_name=axis_name,
        axes=axes,
    )
    shape = (history, estimator.num_queries)

    def init_fn(params: Params) -> ReplayedAdamState:
        return ReplayedAdamState(estimate.init(params), jnp.zeros(shape, jnp.float32))

    def update_fn(
        updates: optax.Updates, state: ReplayedAdamState, params: Params | None = None, **extra: Any
    ) -> tuple[optax.Updates, ReplayedAdamState]:
        _checks.stored_shape(state.replayed, shape, "history and num_queries")
        # The estimate itself is not used; under jit it is not even formed.
        _, now = estimate.update(updates, state.estimate, params, **extra)
        if extra.get("wide_updates"):
            params = widened(params)
        if accumulate == 1:
            return replayed(now, state, params)
        return jax.lax.cond(
            now.count > state.estimate.count,
            lambda: replayed(now, state, params),
            lambda: (
                jax.tree.map(lambda leaf: jnp.full_like(leaf, -0.0), params),
                ReplayedAdamState(now, state.replayed),
            ),
        )

    def replayed(
        now: EstimateGradientState, state: ReplayedAdamState, params: Params
    ) -> tuple[optax.Updates, ReplayedAdamState]:
        """The step, once its estimate is complete."""
        coefficients = jnp.concatenate([now.coefficients[None], state.replayed[:-1]])
        # Before the first step there is nothing: its coefficients are zero.
        steps = jnp.maximum(now.count - 1 - jnp.arange(history), 0)
        recipes = jax.lax.map(lambda step: sampler.recall(now.key, step, shape[1], params), steps)
        leaves, treedef = jax.tree.flatten(params)
        adam = _Adam(b1, b2, eps, now.count, coefficients)
        made: list[jax.Array] = []
        for recipe, leaf in zip(recipes, leaves, strict=True):
            made.append(adam.direction(recipe, leaf, made[-1] if made else leaf))
        return treedef.unflatten(made), ReplayedAdamState(now, coefficients)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


class _Adam(NamedTuple):
    """Equations (1) and (2), given the coefficients, newest first."""

    b1: float
    b2: float
    eps: float
    count: jax.Array
    coefficients: jax.Array

    def direction(self, recipe: Recipe, leaf: jax.Array, before: jax.Array) -> jax.Array:
        """Of one leaf, whose recipes lead with (history, K), once that of the leaf before is known.

        Else the compiler would make room for the moments of all leaves at once.
        """
        dtype = wide(leaf.dtype)
        zeros = jnp.broadcast_to(jnp.where(true_after(before), 0, 1).astype(dtype), leaf.shape)

        def add(age: jax.Array, moments: tuple[jax.Array, jax.Array]):
            then = jax.tree.map(lambda array: array[age], recipe)
            (g,) = combine(self.coefficients[age], (then,), (leaf,))
            g = g.astype(dtype)
            m, v = moments
            return m + self._weight(self.b1, age) * g, v + self._weight(self.b2, age) * g**2

        m, v = jax.lax.fori_loop(0, self.coefficients.shape[0], add, (zeros, zeros))
        # Always so; but the result is then a buffer, and those of m and v are free for the next.
        return jax.lax.cond(
            self.count > 0,
            lambda: (m / (jnp.sqrt(v) + self.eps)).astype(leaf.dtype),
            lambda: m.astype(leaf.dtype),
        )

    def _weight(self, decay: float, age: jax.Array) -> jax.Array:
        """Of the estimate of some steps ago, with the correction of (2)."""
        return (1 - decay) * decay**age / (1 - decay**self.count)
