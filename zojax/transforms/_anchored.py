"""Estimates whose noise of batches is reduced by what the same batch measures at an anchor."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import widened
from zojax._mesh import Axes
from zojax._typing import Key, Params, ValueFn
from zojax.estimators import EstimateGradientState, Estimator, Recorded, estimate_gradient
from zojax.estimators._shares import combine_shared
from zojax.recipes import Directions
from zojax.samplers import Sampler


class AnchoredState(NamedTuple):
    """State of `estimate_with_anchor`.

    Attributes:
      estimate: that of the estimate, see `zojax.estimate_gradient`. Its `last_losses` are those at
        params, then those at the anchor, 0 in a step that did not ask for them.
      anchor: x̄, a tree like params.
      anchor_coefficients: c̄ of the batches so far, (K,), float32.
      anchor_batches: how many these are, shape (), int32.
      anchor_accumulated: what the calls since the last step measured at the anchor, () without
        `accumulate`.
    """

    estimate: EstimateGradientState
    anchor: Params
    anchor_coefficients: jax.Array
    anchor_batches: jax.Array
    anchor_accumulated: Any


def estimate_with_anchor(
    key: Key,
    sampler: Sampler,
    estimator: Estimator,
    *,
    interval: int = 2,
    anchor_batches: int = 1,
    anchor_scale: ArrayLike = 1.0,
    **options: Any,
) -> optax.GradientTransformationExtraArgs:
    """Replaces the updates by an estimate of the gradient with SVRG's control variate.

    With c(x) the coefficients that the estimator makes of losses at x, a cycle is A steps at one
    point x̄, with a batch each and the same directions z̄ in all of them, which give

        c̄ = mean of their c(x̄),    ĝ = a Σ_k c̄_k z̄_k  in the last of them, 0 in the others    (1)

    and q - 1 steps that follow, with directions z of their own:

        ĝ = Σ_k [c_k(x) - c_k(x̄)] z_k + Σ_k c̄_k z̄_k                                           (2)

    What a batch adds to the slopes at both points drops out of (2), but for that of the A batches.

    Costs the loss evaluations of `estimator` in a step of (1), twice as many in one of (2). Stores
    x̄, a tree like params, and K scalars, as z̄ is drawn again; so an update draws 2 K directions.

    A step whose losses give no finite estimate has none; c̄ is the mean of the others.

    Args:
      key: a typed key.
      sampler: where to look; one that does not learn.
      estimator: what to make of the losses; something linear.
      interval: q, at least 1.
      anchor_batches: A, at least 1.
      anchor_scale: a, at least 0.
      **options: of `zojax.estimate_gradient`: `accumulate`, `chunk_size`, `axis_name`, `axes`.

    Raises:
      ValueError: if a number is out of range, or the sampler or the estimator does not fit.

    Source: Gautam et al., arXiv:2404.08080, Algorithm 1 (MeZO-SVRG).
    """
    _checks.at_least(1, interval=interval, anchor_batches=anchor_batches)
    _checks.not_negative(anchor_scale=anchor_scale)
    estimate = estimate_gradient(key, sampler, estimator, **options)
    if sampler.recall is None or estimator.history or estimator.shape is not None:
        raise ValueError(
            "an anchor needs directions that can be drawn again, and coefficients that are linear "
            "in the losses of one step: use a sampler that does not learn such as "
            "zojax.gaussian(), and an estimator such as zojax.central(radius)"
        )
    cycle = _Cycle(interval, anchor_batches, anchor_scale)
    axes, accumulates = options.get("axes", Axes()), options.get("accumulate", 1) > 1

    def init_fn(params: Params) -> AnchoredState:
        first = estimate.init(params)
        return AnchoredState(
            estimate=first._replace(last_losses=jnp.tile(first.last_losses, 2)),
            anchor=jax.tree.map(jnp.copy, params),
            anchor_coefficients=jnp.zeros((estimator.num_queries,), jnp.float32),
            anchor_batches=jnp.zeros((), jnp.int32),
            anchor_accumulated=jax.tree.map(jnp.copy, first.accumulated),
        )

    def update_fn(
        updates: optax.Updates,
        state: AnchoredState,
        params: Params | None = None,
        *,
        value_fn: ValueFn | None = None,
        wide_updates: bool = False,
        **extra: Any,
    ) -> tuple[optax.Updates, AnchoredState]:
        step = state.estimate.count
        in_anchor = cycle.in_anchor(step)
        before = _of_one_point(state.estimate, cycle.drawn_at(step))
        at_params, at_anchor = _for_both_points(value_fn, state.estimate.last_losses)

        # Of both points only the coefficients are used; under jit no estimate is formed.
        _, now = estimate.update(updates, before, params, value_fn=at_params, **extra)
        here = _Measured.between(before, now)
        waiting = before._replace(accumulated=state.anchor_accumulated)

        def ask_anchor() -> _Measured:
            _, then = estimate.update(updates, waiting, state.anchor, value_fn=at_anchor, **extra)
            return _Measured.between(waiting, then)

        there = jax.lax.cond(in_anchor, lambda: _Measured.nothing(waiting), ask_anchor)
        state = state._replace(
            estimate=now._replace(
                count=step,
                last_losses=jnp.concatenate([here.losses, there.losses]),
                num_evaluations=now.num_evaluations + there.spent,
                num_nonfinite=now.num_nonfinite + (here.is_finite & ~there.is_finite),
            ),
            anchor_accumulated=there.accumulated,
        )
        like = widened(params) if wide_updates else params

        def complete() -> tuple[optax.Updates, AnchoredState]:
            mean, batches = cycle.averaged(state, here)
            of_step, of_anchor = cycle.coefficients(step, here, there, mean)
            directions = drawn(now.key, (before.count, cycle.first(step)), params)
            sums = combine_shared(
                jnp.concatenate([of_step, of_anchor]), directions, like, axes, read_once=True
            )
            return sums, state._replace(
                estimate=state.estimate._replace(
                    count=optax.safe_increment(step),
                    coefficients=jnp.where(in_anchor, here.coefficients, of_step),
                ),
                anchor=jax.tree.map(lambda x, a: jnp.where(in_anchor, x, a), params, state.anchor),
                anchor_coefficients=mean,
                anchor_batches=batches,
            )

        if not accumulates:
            return complete()
        nothing = jax.tree.map(lambda leaf: jnp.full_like(leaf, -0.0), like)
        return jax.lax.cond(now.count > before.count, complete, lambda: (nothing, state))

    def drawn(key: Key, steps: tuple[jax.Array, jax.Array], params: Params) -> Directions:
        """Directions of two steps, 2 K of them."""
        each = (sampler.recall(key, step, estimator.num_queries, params) for step in steps)
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *each)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def rests_at_anchor(step: jax.Array, interval: int, anchor_batches: int) -> jax.Array:
    """Whether params stay where they are in a step, one of (1) but not the last."""
    return ~_Cycle(interval, anchor_batches).moves(step)


class _Measured(NamedTuple):
    """What was measured at one of the two points.

    Attributes:
      coefficients: of the step's directions, (K,), 0 if they are not finite.
      is_finite: whether they are, shape (), bool.
      losses: (n,).
      spent: losses evaluated, shape (), int32.
      accumulated: what the calls since the last step measured.
    """

    coefficients: jax.Array
    is_finite: jax.Array
    losses: jax.Array
    spent: jax.Array
    accumulated: Any

    @classmethod
    def between(cls, before: EstimateGradientState, after: EstimateGradientState) -> "_Measured":
        """In the step between these states."""
        return cls(
            after.coefficients,
            after.num_nonfinite == before.num_nonfinite,
            after.last_losses,
            after.num_evaluations - before.num_evaluations,
            after.accumulated,
        )

    @classmethod
    def nothing(cls, before: EstimateGradientState) -> "_Measured":
        """At a point where nothing was."""
        zeros = jax.tree.map(jnp.zeros_like, (before.coefficients, before.last_losses))
        return cls(zeros[0], jnp.bool(1), zeros[1], jnp.int32(0), before.accumulated)


class _Cycle(NamedTuple):
    """The steps of a cycle, and what is made of what they measure."""

    interval: int
    anchor_batches: int
    anchor_scale: ArrayLike = 1.0

    def place(self, step: jax.Array) -> jax.Array:
        """Of a step in its cycle."""
        return step % (self.anchor_batches + self.interval - 1)

    def first(self, step: jax.Array) -> jax.Array:
        """The first step of its cycle, whose directions are z̄."""
        return step - self.place(step)

    def in_anchor(self, step: jax.Array) -> jax.Array:
        """Whether a step is of (1)."""
        return self.place(step) < self.anchor_batches

    def moves(self, step: jax.Array) -> jax.Array:
        """Whether its update is not 0."""
        return self.place(step) >= self.anchor_batches - 1

    def drawn_at(self, step: jax.Array) -> jax.Array:
        """The step whose directions it measures along."""
        return jnp.where(self.in_anchor(step), self.first(step), step)

    def averaged(self, state: AnchoredState, here: _Measured) -> tuple[jax.Array, jax.Array]:
        """c̄ after the step, and the number of batches that it is the mean of."""
        step = state.estimate.count
        goes_on = self.place(step) > 0
        is_taken = self.in_anchor(step) & here.is_finite
        mean = jnp.where(goes_on, state.anchor_coefficients, 0.0)
        batches = jnp.where(goes_on, state.anchor_batches, 0) + is_taken
        moved = mean + (here.coefficients - mean) / jnp.maximum(batches, 1)
        return jnp.where(is_taken, moved, mean), batches

    def coefficients(
        self, step: jax.Array, here: _Measured, there: _Measured, mean: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """What z and z̄ are multiplied with, (K,) each."""
        in_anchor, finite = self.in_anchor(step), here.is_finite & there.is_finite
        difference = here.coefficients - there.coefficients
        of_step = jnp.where(finite & ~in_anchor, difference, 0.0)
        scaled = jnp.where(in_anchor, self.anchor_scale, 1.0).astype(mean.dtype) * mean
        return of_step, jnp.where(finite & self.moves(step), scaled, 0.0)


def _of_one_point(state: EstimateGradientState, drawn_at: jax.Array) -> EstimateGradientState:
    """The state with which the losses of one point are measured, along directions of a step."""
    losses = state.last_losses[: state.last_losses.size // 2]
    return state._replace(count=drawn_at, last_losses=losses)


def _for_both_points(
    value_fn: ValueFn | None, last_losses: jax.Array
) -> tuple[ValueFn | None, ValueFn | None]:
    """The loss at params, and at the anchor; what was recorded is of the one, then of the other."""
    if not isinstance(value_fn, Recorded):
        return value_fn, value_fn
    value_fn.check(last_losses)
    return tuple(Recorded(half) for half in jnp.split(value_fn.losses, 2))
