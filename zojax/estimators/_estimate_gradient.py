"""The first link of a chain: the estimate of the gradient."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zojax import _checks
from zojax._dtypes import widened
from zojax._measurement import Estimate, Losses, Probe
from zojax._mesh import Axes, AxisName, agreed
from zojax._typing import Key, Params, ValueFn
from zojax.estimators import _callers, _guiding, _inner, _per_query, _window
from zojax.estimators._accumulating import Accumulated
from zojax.estimators._applying import Apply
from zojax.estimators._dividing import divide
from zojax.estimators._estimator import Estimator
from zojax.estimators._measuring import Answer, Measure
from zojax.estimators._recorded import Recorded
from zojax.estimators._value_fn import bound
from zojax.noise import _keys
from zojax.recipes import Directions
from zojax.samplers import Sampler

_LINK = "estimate_gradient"


class EstimateGradientState(NamedTuple):
    """State of `estimate_gradient`; read a field with `zojax.state_field(state, name)`.

    Attributes:
      key: the key that all directions are derived from; never changes.
      count: steps taken, shape (), int32.
      value: mean of the losses evaluated in the last step, shape (), float32; 0 before the first.
      coefficients: what the last step's directions were multiplied with, shape (K,), float32.
      last_losses: those of the last call, along its directions and then at params if that was
        evaluated, shape (n,), float32: what `zojax.Recorded` makes the step again from. In front of
        them are those that a sampler asked for before it drew.
      num_evaluations: losses evaluated so far, shape (), int32.
      num_nonfinite: steps so far whose losses gave no finite estimate, shape (), int32.
      sampler: state of the sampler.
      estimator: state of the estimator.
      inner: state of `inner` or `per_query`, () without any.
      mean_curvature: of the last step's directions, shape (), float32; () if the estimator measures
        no curvatures.
      accumulated: what the calls since the last step measured, () without `accumulate`.
    """

    key: Key
    count: jax.Array
    value: jax.Array
    coefficients: jax.Array
    last_losses: jax.Array
    num_evaluations: jax.Array
    num_nonfinite: jax.Array
    sampler: Any
    estimator: Any
    inner: Any
    mean_curvature: Any
    accumulated: Any


def estimate_gradient(
    key: Key,
    sampler: Sampler,
    estimator: Estimator,
    *,
    inner: optax.GradientTransformation | None = None,
    per_query: optax.GradientTransformation | None = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    has_aux: bool = False,
    read_once: bool = False,
    divided: tuple[str, ...] = (),
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """Replaces the updates by a zeroth-order estimate of the gradient.

        z_1...z_K ~ sampler,    losses ~ value_fn along them,    ĝ = Σ_k c_k z_k              (1)

    with the coefficients c of the estimator. It is the first link of a chain; what comes after it
    sees ĝ as it would see a gradient. Incoming updates are ignored and may be None, or
    `zojax.no_updates(params)` for wrappers of optax that need a tree; links before it are warned
    about.

    `update(None, state, params, value_fn=loss, **kwargs)` hands `value_fn` the keyword arguments
    that it names (all of them if it takes **kwargs), as optax's line searches do; others are for
    other links. Directions depend on (key, step, query, leaf path) alone and are regenerated:
    nothing of the size of params is stored. In the place of a loss, `value_fn=zojax.Recorded(...)`
    makes a step again from the losses that it measured.

    With `divided` = ("batch",) query k sees the k-th of K equal parts of the argument `batch`, and
    no other, so that a step reads the batch as often as with one direction, however many it has.
    `num_evaluations` counts losses of a whole batch. (A sampler that asks before it draws, and an
    estimator that asks for the loss at params, are given such.) Evaluated side by side
    (`chunk_size` = K) the parts take the memory of the batch; for `zojax.flipped` and factored
    directions, of which no perturbed weight is formed for each.

    If the losses give no finite coefficients the estimate is zero, and the step counts in
    `num_nonfinite`.

    `inner` sees the estimate in the coordinates of the sampler (the cores of factored directions
    with a basis, the active slices of blocks), before it is lifted to the space of params: what it
    stores has the size of the coordinates, and it never touches what is outside them.

    `per_query` sees c_1 z_1...c_K z_K one after another in the place of their sum, and what it
    returns is added up: the K small steps of codes that update the params query by query, from
    losses that were all measured before the first of them.

    With `accumulate` = k an estimate is made of k calls, each with a part of a batch: all of them
    measure along the same directions, their coefficients are averaged, and the last one returns the
    estimate of the whole batch, to rounding. The others return -0.0, which changes no weight, and
    count in `num_evaluations` alone. No tree of the size of params waits in between, as one does in
    `optax.MultiSteps`. Behind it links with a memory belong into `zojax.chain`, which runs them in
    every k-th call; in `optax.chain` they would see the others as gradients of zero.

    With `update(..., wide_updates=True)` the estimate of bfloat16 and float16 leaves is float32, as
    `zojax.round_stochastically` and `zojax.keep_float32_masters` ask for.

    Args:
      key: a typed key, as jax.random.key makes; its generator draws the directions.
      sampler: where to look, e.g. `zojax.gaussian()`.
      estimator: what to make of the losses, e.g. `zojax.central(radius=1e-3)`.
      inner: optax links for the estimate in the sampler's coordinates.
      per_query: optax links for the estimate of each query.
      accumulate: k, calls that an estimate is made of, at least 1.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      has_aux: whether `value_fn` returns `(value, aux)`; aux is dropped here (`zojax.evaluate`
        returns it).
      read_once: whether what comes behind reads the estimate at one place alone, as descent does.
        Several queries then need no buffer for the sum of a large leaf; see `zojax.combine`.
      divided: names of arguments of `value_fn`, trees whose arrays have a first axis that is cut
        into K parts, one for each direction.
      axis_name: axes that losses are averaged over, where this is the program of one device: inside
        `jax.shard_map` or `jax.pmap`, with a part of the batch. Under `jit` a loss of a sharded
        batch is the mean over all of it anyway.
      axes: of the mesh of `jax.set_mesh`, along which directions are shared out and weights stored
        in parts; see `zojax.Axes`.

    Returns:
      A transformation whose `update` needs `params` and `value_fn`.

    Raises:
      TypeError: if the key is no typed key, or the sampler, the estimator or the axes are something
        else; in `init` and `update` if params have leaves that are
        not floating or holes left by optax.masked; in `update` if the loss is not a scalar, or
        `value_fn` needs an argument that was not passed.
      ValueError: for a key of the generator unsafe_rbg, or a missing `params` or `value_fn`; if
        the sampler has no coordinates for `inner`, or cannot draw again what the estimator's
        history needs; if `per_query` meets `inner` or a history, or `accumulate` a sampler that
        asks for losses before it draws; in `update` if params have no leaves or the mesh in use
        lacks one of `axes`, or its groups do not divide the queries, if recorded losses are not as
        many as a step has, or if an argument of `divided` is missing or has no K equal parts.
    """
    _keys.check(key)
    _checks.instance(Sampler, "zojax.gaussian()", sampler=sampler)
    _checks.instance(Estimator, "zojax.central(radius=1e-3)", estimator=estimator)
    _checks.instance(Axes, 'zojax.Axes(query="query")', axes=axes)
    _checks.at_least(1, chunk_size=chunk_size)
    _window.check(sampler, estimator)
    _inner.check(sampler, estimator, inner)
    _per_query.check(per_query, estimator, inner)
    _checks.at_least(1, accumulate=accumulate)
    if accumulate > 1 and sampler.guide is not None:
        raise ValueError(
            f"accumulate = {accumulate} does not go with a sampler that asks for losses before it "
            "draws: parts of a batch would give other directions; use accumulate=1"
        )
    if isinstance(divided, str):
        raise ValueError(
            f"divided must be a tuple of names, got {divided!r}; write divided=({divided!r},)"
        )
    num_queries = estimator.num_queries
    measure = Measure(chunk_size, has_aux, axis_name, axes)
    apply = Apply(sampler, estimator, inner, per_query, axes, read_once)

    def init_fn(params: Params) -> EstimateGradientState:
        _check_params(params)
        kept = sampler.init(params)
        return EstimateGradientState(
            key=jnp.copy(key),
            count=jnp.zeros((), jnp.int32),
            value=jnp.zeros((), jnp.float32),
            coefficients=jnp.zeros((num_queries,), jnp.float32),
            last_losses=_guiding.no_losses_of_step(sampler, estimator, kept, key, params),
            num_evaluations=jnp.zeros((), jnp.int32),
            num_nonfinite=jnp.zeros((), jnp.int32),
            sampler=kept,
            estimator=estimator.init(),
            inner=apply.init_links(params),
            mean_curvature=jnp.zeros((), jnp.float32) if estimator.has_curvature else (),
            accumulated=Accumulated.nothing(estimator) if accumulate > 1 else (),
        )

    def update_fn(
        updates: optax.Updates,
        state: EstimateGradientState,
        params: Params | None = None,
        *,
        value_fn: ValueFn | None = None,
        wide_updates: bool = False,
        **extra_args: Any,
    ) -> tuple[optax.Updates, EstimateGradientState]:
        _callers.warn_if_ignored()
        _checks.given(_LINK, params=params, value_fn=value_fn)
        _check_params(params)
        losses, kept, guiding = asked(value_fn, state, params, extra_args)
        directions, kept = sampler.draw(kept, state.key, state.count, num_queries, params)
        probe = Probe(
            base=losses.base,
            along=lambda radii: losses.along(
                measured_along(directions, kept, state, params), radii
            ),
            step=state.count,
            key=lambda: _keys.estimator_key(state.key, state.count),
        )
        measured = estimator.estimate(state.estimator, probe)
        values = measured[0].values
        spent = sum(answer.count for answer in guiding) + values.size
        if measured[0].base is not None:
            spent -= sum(answer.is_base for answer in guiding)
        if divided:
            of_shares = measured[0].losses.size
            spent += of_shares // num_queries - of_shares
        if guiding:
            values = jnp.concatenate([_guiding.one_axis(guiding), values])
        state = state._replace(
            num_evaluations=state.num_evaluations + spent,
            last_losses=values.astype(state.last_losses.dtype),
        )
        # The updates are like these; the losses are those of the params themselves.
        like = widened(params) if wide_updates else params
        if accumulate == 1:
            return step(measured, directions, kept, state, like)
        accumulated = state.accumulated.add(measured)
        return jax.lax.cond(
            accumulated.calls == accumulate,
            lambda: step(accumulated.mean(), directions, kept, state, like),
            lambda: (_nothing(like), state._replace(accumulated=accumulated)),
        )

    def asked(
        value_fn: ValueFn | Recorded,
        state: EstimateGradientState,
        params: Params,
        extra_args: dict[str, Any],
    ) -> tuple[Losses, Any, list[Answer]]:
        """What may be asked of the loss, and the sampler's state after it asked first."""
        is_recorded = isinstance(value_fn, Recorded)
        if is_recorded:
            value_fn.check(state.last_losses)
            losses, answers = value_fn.guiding()
        else:
            parts = divide(value_fn, extra_args, divided, num_queries) if divided else None
            loss = bound(value_fn, extra_args)
            losses, of_step, answers = measure.losses(loss, params, parts)
        kept = state.sampler
        if sampler.guide is not None:
            kept = sampler.guide(kept, state.key, state.count, params, losses)
        guiding = list(answers)
        if is_recorded:
            first = sum(answer.losses.size for answer in guiding)
            of_step = value_fn.answers(num_queries, first)
        return of_step, kept, guiding

    def measured_along(directions: Directions, kept: Any, state: Any, params: Params) -> Any:
        """Several queries are drawn where they are evaluated, if the sampler knows how."""
        if sampler.one_by_one is None or num_queries == 1:
            return directions
        return sampler.one_by_one(kept, state.key, state.count, num_queries, params)

    def step(
        measured: tuple[Estimate, Any],
        directions: Directions,
        kept: Any,
        state: EstimateGradientState,
        params: Params,
    ) -> tuple[optax.Updates, EstimateGradientState]:
        """The updates of what was measured, and the state after them."""
        estimate, estimator_state = measured
        coefficients = estimate.coefficients
        if estimator.shape is not None:
            coefficients = estimator.shape(state.estimator, estimate)
        coefficients = agreed(coefficients, axis_name)
        finite = jnp.all(jnp.isfinite(coefficients))
        coefficients = jnp.where(finite, coefficients, 0.0)
        estimate = estimate._replace(coefficients=coefficients)
        updates, links, observed = apply.updates(estimate, finite, directions, kept, state, params)
        if not estimator.history:
            # A history counts steps, so it also goes on in those that are not taken.
            estimator_state = _where(finite, estimator_state, state.estimator)
        curvature = state.mean_curvature
        if estimator.has_curvature:
            curvature = jnp.mean(estimate.curvatures).astype(jnp.float32)
        return updates, state._replace(
            count=optax.safe_increment(state.count),
            value=_mean(estimate.values).astype(jnp.float32),
            coefficients=(coefficients[0] if estimator.history else coefficients).astype(
                jnp.float32
            ),
            num_nonfinite=state.num_nonfinite + ~finite,
            sampler=_where(finite, observed, kept),
            estimator=estimator_state,
            inner=links,
            mean_curvature=curvature,
            accumulated=Accumulated.nothing(estimator) if accumulate > 1 else (),
        )

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _check_params(params: Params) -> None:
    _checks.whole(params)
    _checks.floating(params)


def _mean(values: jax.Array) -> jax.Array:
    """The mean, also where the sum of large losses is beyond the largest number."""
    mean = jnp.mean(values)
    return jnp.where(jnp.isfinite(mean), mean, jnp.sum(values / values.size))


def _nothing(params: Params) -> optax.Updates:
    """-0.0, which changes no bit of a weight that it is added to."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, -0.0), params)


def _where(finite: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)
