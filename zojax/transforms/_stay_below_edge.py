"""A learning rate that the curvature of the loss bounds."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key, Params, ValueFn
from zojax.estimators._value_fn import bound
from zojax.evaluation import evaluate
from zojax.noise import keys
from zojax.samplers import rademacher


class StayBelowEdgeState(NamedTuple):
    """State of `stay_below_edge`.

    Attributes:
      edge_key: the key that directions are derived from; never changes.
      edge_step: updates so far, shape (), int32.
      trace: T, shape (), float32; 0 before it was measured.
      edge_share: what the last updates were multiplied with, shape (), float32.
      edge_evaluations: losses evaluated for T so far, shape (), int32.
      inner_state: of the transformation inside.
    """

    edge_key: Key
    edge_step: jax.Array
    trace: jax.Array
    edge_share: jax.Array
    edge_evaluations: jax.Array
    inner_state: Any


def stay_below_edge(
    inner: optax.GradientTransformation,
    key: Key,
    learning_rate: optax.ScalarOrSchedule,
    *,
    num_queries: int = 1,
    momentum: ArrayLike = 0.0,
    safety: ArrayLike = 1.0,
    every: int = 10,
    decay: ArrayLike = 0.9,
    radius: ArrayLike = 1e-2,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """Shortens the updates of `inner` where its learning rate is beyond the edge of stability.

        κ  = [f(x + r z) + f(x - r z) - 2 f(x)] / r²,    z uniform on {-1, 1}^d                 (1)
        T  ← b T + (1 - b) κ  (T = κ at first),    every so many updates                        (2)
        η* = s · 2 (1 - β) K / T  where T > 0, else ∞                                           (3)
        u  ← min(1, η*/η) u                                                                     (4)

    On a quadratic with the Hessian H the mean of κ is Tr H, exactly κ where H is diagonal. There
    the mean square of descent along estimates of K queries grows without end from about 2 K / Tr H
    on, instead of 2 / λ_max with gradients; with heavy-ball momentum β in updates u ← β u + g from
    2 (1 - β) K / Tr H on. For one query with gaussian directions the edge lies between 2/(Tr H + 2
    λ_max) and 2/Tr H: take s < 1 where few eigenvalues make up the trace. The theory is that of
    plain descent and momentum; with a preconditioner, or directions that do not fill the space, Tr
    H is not the number that counts, and (4) is stricter than needed, or less strict.

    Costs 3 loss evaluations every `every` updates, counted in `edge_evaluations`. Stores 4 numbers
    and the key. A loss of (1) that is not finite is left out.

    Args:
      inner: an optimizer, e.g. `zojax.mezo(η, key)`.
      key: a typed key; it may be that of `inner`.
      learning_rate: η, that of `inner`, a number or a schedule.
      num_queries: K of `inner`, at least 1.
      momentum: β of `inner`, at least 0 and below 1.
      safety: s, above 0.
      every: updates from one measurement to the next, at least 1.
      decay: b, at least 0 and below 1.
      radius: r, above 0. In float32 rounding gives κ an error of about 2⁻²³ |f| / r².
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key; in `update` for recorded losses (`zojax.Recorded`),
        which have none of (1).
      ValueError: if a number is out of range; in `update` without `params` or `value_fn`.

    Source: Song, Zhang, Li, He, Muehlebach, Oh, arXiv:2604.14669, the conditions of mean-square
    stability; (2) to (4) are ours.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum(x**2)  # Tr H = 2 d: the edge lies at 1/100
      >>> x, key, rate = jnp.ones(100), jax.random.key(0), 0.1
      >>> tx = zojax.stay_below_edge(zojax.mezo(rate, key), key, rate, safety=0.5)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(300):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 50.0), round(float(state.edge_share), 3)
      (True, 0.05)
    """
    keys.check(key)
    _checks.learning_rate(learning_rate=learning_rate)
    _checks.at_least(1, num_queries=num_queries, every=every)
    _checks.below_one(momentum=momentum, decay=decay)
    _checks.positive(safety=safety, radius=radius)
    inner = optax.with_extra_args_support(inner)
    sampler = rademacher()

    def init_fn(params: Params) -> StayBelowEdgeState:
        return StayBelowEdgeState(
            edge_key=jnp.copy(key),
            edge_step=jnp.zeros((), jnp.int32),
            trace=jnp.zeros((), jnp.float32),
            edge_share=jnp.ones((), jnp.float32),
            edge_evaluations=jnp.zeros((), jnp.int32),
            inner_state=inner.init(params),
        )

    def update_fn(
        updates: optax.Updates,
        state: StayBelowEdgeState,
        params: Params | None = None,
        *,
        value_fn: ValueFn | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, StayBelowEdgeState]:
        _checks.given("stay_below_edge", params=params, value_fn=value_fn)
        updates, inner_state = inner.update(
            updates, state.inner_state, params, value_fn=value_fn, **extra_args
        )
        loss = bound(value_fn, extra_args)

        def measured() -> jax.Array:
            kappa = curvature(loss, state.edge_key, state.edge_step, params)
            mixed = jnp.where(state.trace == 0, kappa, decay * state.trace + (1 - decay) * kappa)
            return jnp.where(jnp.isfinite(kappa), mixed, state.trace).astype(jnp.float32)

        is_due = state.edge_step % every == 0
        trace = jax.lax.cond(is_due, measured, lambda: state.trace)
        rate = learning_rate(state.edge_step) if callable(learning_rate) else learning_rate
        edge = safety * 2 * (1 - momentum) * num_queries
        # η*/η without a division by either: both may be 0.
        beyond = trace * jnp.abs(rate) > edge
        share = jnp.where(beyond, edge / jnp.where(beyond, trace * jnp.abs(rate), 1.0), 1.0)
        state = StayBelowEdgeState(
            state.edge_key,
            optax.safe_increment(state.edge_step),
            trace,
            share.astype(jnp.float32),
            state.edge_evaluations + jnp.where(is_due, 3, 0),
            inner_state,
        )
        shorter = jax.tree.map(lambda u: jnp.where(beyond, share * u, u).astype(u.dtype), updates)
        return shorter, state

    def curvature(loss: ValueFn, key: Key, step: jax.Array, params: Params) -> jax.Array:
        """κ of (1)."""
        of_step = keys.estimator_key(key, step)  # which no direction of `inner` is drawn with
        directions, _ = sampler.draw((), of_step, jnp.int32(0), 1, params)
        radii = radius * jnp.array([1.0, -1.0])
        pair = evaluate(loss, params, directions, radii, axes=axes)[0]
        base, _ = _checks.value_and_aux(loss(params), has_aux=False)
        losses = jnp.stack([pair[0] - base, pair[1] - base])
        if axis_name is not None:
            losses = jax.lax.pmean(losses, axis_name)
        return jnp.sum(losses) / radius**2

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)
