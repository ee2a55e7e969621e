"""Rules whose moments are made again from the coefficients of the steps so far."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zojax import _checks
from zojax._dtypes import wide, widened
from zojax._schedule import true_after
from zojax._typing import Key, Params
from zojax.estimators import EstimateGradientState, Estimator, estimate_gradient
from zojax.recipes import Recipe, combine
from zojax.samplers import Sampler


class ReplayedState(NamedTuple):
    """State of `estimate_then` with a history.

    Attributes:
      estimate: that of the estimate, see `zojax.estimate_gradient`.
      replayed: coefficients of this step and those before it, newest first, (history, K).
    """

    estimate: EstimateGradientState
    replayed: jax.Array


def estimate_then(
    rule: optax.GradientTransformation,
    read: Callable[[Any], Params],
    key: Key,
    sampler: Sampler,
    estimator: Estimator,
    *,
    history: int | None = None,
    **options: Any,
) -> tuple[optax.GradientTransformation, ...]:
    """Links: `zojax.estimate_gradient` and a rule; with a history, no moments of it in memory.

    With h = `history` the estimates ĝ_τ = Σ_k c_{τ,k} z_{τ,k} of the last h steps are drawn again
    in every step, leaf by leaf, and the rule is run over them from its start:

        s ← rule.init,    (_, s) ← rule.update(ĝ_τ, s)    for τ = max(1, t - h + 1) ... t        (1)

    and the update is read(s). Up to step h this is the rule itself, up to rounding; later it is a
    rule that was started h steps ago: a moment leaves out what has a weight of β^h and less, and a
    correction of its bias counts h steps.

    Costs the loss evaluations of `estimator`, and with a history h K regenerations of each leaf a
    step, which is quadratic in the length of a run with h = its steps. Stores h K scalars then, in
    the place of the rule's state; a step holds the state of one leaf at a time, and with factored
    directions the factors of h K of them.

    Args:
      rule: a link that treats every entry by itself, such as `optax.scale_by_adam` or
        `zojax.scale_by_r_adazo`; one that looks at whole leaves or at params does not fit.
      read: the last update of the rule as a function of its state, which a history needs: a loop
        that had to carry updates beside moments would hold another leaf on an accelerator.
      key: a typed key.
      sampler: where to look.
      estimator: what to make of the losses; with a history here, one without a history of its own.
      history: h, at least 1; None keeps the rule's state.
      **options: of `zojax.estimate_gradient`.

    Raises:
      ValueError: if `history` is out of range, the sampler cannot draw earlier directions again, or
        the estimator has a history. In `update` if the restored state has another length.

    Source: for Adam, Malladi et al., arXiv:2305.17333, Appendix B.2.
    """
    estimate = estimate_gradient(key, sampler, estimator, **options)
    if history is None:
        return estimate, rule
    _checks.at_least(1, history=history)
    if estimator.history or sampler.recall is None:
        raise ValueError(
            "moments are replayed from one row of coefficients a step and directions that can be "
            "drawn again: use an estimator without a history such as zojax.central(radius), and a "
            "sampler that does not learn such as zojax.gaussian()"
        )
    shape = (history, estimator.num_queries)

    def init_fn(params: Params) -> ReplayedState:
        return ReplayedState(estimate.init(params), jnp.zeros(shape, jnp.float32))

    def update_fn(
        updates: optax.Updates, state: ReplayedState, params: Params | None = None, **extra: Any
    ) -> tuple[optax.Updates, ReplayedState]:
        _checks.stored_shape(state.replayed, shape, "history and num_queries")
        # The estimate itself is not used; under jit it is not even formed.
        _, now = estimate.update(updates, state.estimate, params, **extra)
        if extra.get("wide_updates"):
            params = widened(params)
        if options.get("accumulate", 1) == 1:
            return replayed(now, state, params)
        return jax.lax.cond(
            now.count > state.estimate.count,
            lambda: replayed(now, state, params),
            lambda: (
                jax.tree.map(lambda leaf: jnp.full_like(leaf, -0.0), params),
                ReplayedState(now, state.replayed),
            ),
        )

    def replayed(
        now: EstimateGradientState, state: ReplayedState, params: Params
    ) -> tuple[optax.Updates, ReplayedState]:
        """The step, once its estimate is complete."""
        coefficients = jnp.concatenate([now.coefficients[None], state.replayed[:-1]])
        steps = jnp.maximum(now.count - 1 - jnp.arange(history), 0)
        recipes = jax.lax.map(lambda step: sampler.recall(now.key, step, shape[1], params), steps)
        leaves, treedef = jax.tree.flatten(params)
        window = _Window(rule, read, now.count, coefficients)
        made: list[jax.Array] = []
        for recipe, leaf in zip(recipes, leaves, strict=True):
            made.append(window.update(recipe, leaf, made[-1] if made else leaf))
        return treedef.unflatten(made), ReplayedState(now, coefficients)

    return (optax.GradientTransformationExtraArgs(init_fn, update_fn),)


class _Window(NamedTuple):
    """Equation (1) for single leaves, given the coefficients, newest first."""

    rule: optax.GradientTransformation
    read: Callable[[Any], Params]
    count: jax.Array
    coefficients: jax.Array

    def update(self, recipe: Recipe, leaf: jax.Array, before: jax.Array) -> jax.Array:
        """Of one leaf, whose recipes lead with (history, K), once that of the leaf before is known.

        Else the compiler would make room for the moments of all leaves at once.
        """
        known = true_after(before)
        zeros = jnp.zeros(leaf.shape, wide(leaf.dtype))
        history = self.coefficients.shape[0]

        def add(place: jax.Array, state: Any) -> Any:
            age = history - 1 - place
            then = jax.tree.map(lambda array: array[age], recipe)
            (g,) = combine(self.coefficients[age], (then,), (leaf,))
            return self.rule.update(g.astype(zeros.dtype), state)[1]

        begun = jax.tree.map(
            lambda array: jnp.where(known, array, array + 1), self.rule.init(zeros)
        )
        # Before the first step of the run there is nothing to add.
        state = jax.lax.fori_loop(jnp.maximum(history - self.count, 0), history, add, begun)
        return self.read(state).astype(leaf.dtype)
