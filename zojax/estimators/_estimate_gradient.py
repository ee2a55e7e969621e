"""The first link of a chain: the estimate of the gradient."""

import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zojax import _checks, _keys
from zojax._mesh import Axes, AxisName, agreed
from zojax._typing import Key, Params, ValueFn
from zojax.directions import Sampler
from zojax.estimators import _inner, _per_query, _window
from zojax.estimators._estimator import Estimator, Probe
from zojax.estimators._shares import combine_shared
from zojax.evaluation import evaluate

_LINK = "estimate_gradient"


class EstimateGradientState(NamedTuple):
    """State of `estimate_gradient`; read a field with `optax.tree.get(state, name)`.

    Attributes:
      key: the key that all directions are derived from; never changes.
      count: steps taken, shape (), int32.
      value: mean of the losses evaluated in the last step, shape (), float32; 0 before the first.
      coefficients: what the last step's directions were multiplied with, shape (K,), float32.
      num_evaluations: losses evaluated so far, shape (), int32.
      num_nonfinite: steps so far whose losses gave no finite estimate, shape (), int32.
      sampler: state of the sampler.
      estimator: state of the estimator.
      inner: state of `inner` or `per_query`, () without any.
    """

    key: Key
    count: jax.Array
    value: jax.Array
    coefficients: jax.Array
    num_evaluations: jax.Array
    num_nonfinite: jax.Array
    sampler: Any
    estimator: Any
    inner: Any


def estimate_gradient(
    key: Key,
    sampler: Sampler,
    estimator: Estimator,
    *,
    inner: optax.GradientTransformation | None = None,
    per_query: optax.GradientTransformation | None = None,
    chunk_size: int = 1,
    has_aux: bool = False,
    read_once: bool = False,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """Replaces the updates by a zeroth-order estimate of the gradient.

        z_1...z_K ~ sampler,    losses ~ value_fn along them,    ĝ = Σ_k c_k z_k              (1)

    with the coefficients c of the estimator. It is the first link of a chain; what comes after it
    sees ĝ as it would see a gradient. Incoming updates are ignored and may be None.

    `update(None, state, params, value_fn=loss, **kwargs)` hands `value_fn` the keyword arguments
    that it names (all of them if it takes **kwargs), as optax's line searches do; others are for
    other links. Directions depend on (key, step, query, leaf path) alone and are regenerated:
    nothing of the size of params is stored.

    If the losses give no finite coefficients the estimate is zero, and the step counts in
    `num_nonfinite`.

    `inner` sees the estimate in the coordinates of the sampler (the cores of factored directions
    with a basis, the active slices of blocks), before it is lifted to the space of params: what it
    stores has the size of the coordinates, and it never touches what is outside them.

    `per_query` sees c_1 z_1...c_K z_K one after another in the place of their sum, and what it
    returns is added up: the K small steps of codes that update the params query by query, from
    losses that were all measured before the first of them.

    Args:
      key: a typed key, as jax.random.key makes; its generator draws the directions.
      sampler: where to look, e.g. `zojax.gaussian()`.
      estimator: what to make of the losses, e.g. `zojax.central(radius=1e-3)`.
      inner: optax links for the estimate in the sampler's coordinates.
      per_query: optax links for the estimate of each query.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      has_aux: whether `value_fn` returns `(value, aux)`; aux is dropped here (`zojax.evaluate`
        returns it).
      read_once: whether what comes behind reads the estimate at one place alone, as descent does.
        Several queries then need no buffer for the sum of a large leaf; see `zojax.combine`.
      axis_name: axes that losses are averaged over, where this is the program of one device: inside
        `jax.shard_map` or `jax.pmap`, with a part of the batch. Under `jit` a loss of a sharded
        batch is the mean over all of it anyway.
      axes: of the mesh of `jax.set_mesh`, along which directions are shared out and weights stored
        in parts; see `zojax.Axes`.

    Returns:
      A transformation whose `update` needs `params` and `value_fn`.

    Raises:
      TypeError: if the key is no typed key; in `init` and `update` if params have leaves that are
        not floating or holes left by optax.masked; in `update` if the loss is not a scalar, or
        `value_fn` needs an argument that was not passed.
      ValueError: for a key of the generator unsafe_rbg, or a missing `params` or `value_fn`; if
        the sampler has no coordinates for `inner`, or cannot draw again what the estimator's
        history needs; if `per_query` meets `inner` or a history; in `update` if the mesh in use
        lacks one of `axes`, or its groups do not divide the queries.
    """
    _keys.check(key)
    _checks.at_least(1, chunk_size=chunk_size)
    _window.check(sampler, estimator)
    _inner.check(sampler, estimator, inner)
    _per_query.check(per_query, estimator, inner)

    def init_fn(params: Params) -> EstimateGradientState:
        _check_params(params)
        return EstimateGradientState(
            key=jnp.copy(key),
            count=jnp.zeros((), jnp.int32),
            value=jnp.zeros((), jnp.float32),
            coefficients=jnp.zeros((estimator.num_queries,), jnp.float32),
            num_evaluations=jnp.zeros((), jnp.int32),
            num_nonfinite=jnp.zeros((), jnp.int32),
            sampler=sampler.init(params),
            estimator=estimator.init(),
            inner=per_query.init(params) if per_query else _inner.init(sampler, inner, params),
        )

    def update_fn(
        updates: optax.Updates,
        state: EstimateGradientState,
        params: Params | None = None,
        *,
        value_fn: ValueFn | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, EstimateGradientState]:
        del updates
        _checks.given(_LINK, params=params, value_fn=value_fn)
        _check_params(params)
        loss = _bind(value_fn, extra_args)

        def averaged(losses: jax.Array) -> jax.Array:
            return losses if axis_name is None else jax.lax.pmean(losses, axis_name)

        directions, sampler_state = sampler.draw(
            state.sampler, state.key, state.count, estimator.num_queries, params
        )
        measured = directions
        if sampler.one_by_one is not None and estimator.num_queries > 1:
            measured = sampler.one_by_one(
                sampler_state, state.key, state.count, estimator.num_queries, params
            )
        probe = Probe(
            base=lambda: averaged(_base(loss, params, has_aux)),
            along=lambda radii: averaged(
                _along(loss, params, measured, radii, chunk_size, has_aux, axes)
            ),
        )
        estimate, estimator_state = estimator.estimate(state.estimator, probe)
        coefficients = agreed(estimate.coefficients, axis_name)
        finite = jnp.all(jnp.isfinite(coefficients))
        coefficients = jnp.where(finite, coefficients, 0.0)
        now = coefficients[0] if estimator.history else coefficients
        observed = None
        if per_query:
            updates, inner_state = _per_query.apply(
                per_query, state.inner, now, directions, params, finite
            )
        elif sampler.combine_and_observe and inner is None and not estimator.history:
            updates, observed = sampler.combine_and_observe(sampler_state, directions, now, params)
            inner_state = ()
        else:
            window = _window.directions(sampler, estimator, directions, state, params)
            estimated = combine_shared(
                coefficients.reshape(-1), window, params, axes, read_once=read_once
            )
            updates, inner_state = _inner.apply(
                sampler, inner, state, sampler_state, now, directions, estimated, params, finite
            )
        if observed is None:
            observed = sampler.observe(sampler_state, directions, now, params)
        new_state = EstimateGradientState(
            key=state.key,
            count=optax.safe_increment(state.count),
            value=jnp.mean(estimate.values).astype(jnp.float32),
            coefficients=now.astype(jnp.float32),
            num_evaluations=state.num_evaluations + estimate.values.size,
            num_nonfinite=state.num_nonfinite + ~finite,
            sampler=_where(finite, observed, sampler_state),
            # A history counts steps, so it also goes on in those that are not taken.
            estimator=estimator_state
            if estimator.history
            else _where(finite, estimator_state, state.estimator),
            inner=inner_state,
        )
        return updates, new_state

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _check_params(params: Params) -> None:
    _checks.whole(params)
    _checks.floating(params)


def _base(loss: ValueFn, params: Params, has_aux: bool) -> jax.Array:  # noqa: FBT001
    out = loss(params)
    value = out[0] if has_aux else out
    _checks.scalar_loss(value)
    return value.astype(jnp.promote_types(value.dtype, jnp.float32))


def _along(loss, params, directions, radii, chunk_size, has_aux, axes) -> jax.Array:
    out = evaluate(
        loss, params, directions, radii, chunk_size=chunk_size, has_aux=has_aux, axes=axes
    )
    return out[0] if has_aux else out


def _where(finite: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)


def _bind(value_fn: ValueFn, kwargs: dict[str, Any]) -> ValueFn:
    """value_fn with those of `kwargs` that it names."""
    parameters = list(inspect.signature(value_fn).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return lambda params: value_fn(params, **kwargs)
    named = [p for p in parameters[1:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    missing = [p.name for p in named if p.default is p.empty and p.name not in kwargs]
    if missing:
        raise TypeError(
            f"value_fn needs {', '.join(missing)}: pass them by name, "
            f"update(None, state, params, value_fn=loss, {missing[0]}=...)"
        )
    passed = {p.name: kwargs[p.name] for p in named if p.name in kwargs}
    return lambda params: value_fn(params, **passed)
