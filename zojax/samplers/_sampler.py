"""What a sampler is: where to look."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from zojax._measurement import Estimate, Losses
from zojax._typing import Key, Params
from zojax.noise import _keys
from zojax.recipes import Directions, OneByOne
from zojax.samplers._subspace import Subspace


class Sampler(NamedTuple):
    """Where to look: three pure functions and a statement about the law.

    One of your own may be made of the parts of others, e.g. with a scale for each leaf:

    >>> import dataclasses, jax, jax.numpy as jnp, zojax
    >>> def scaled(sampler, scales):
    ...     def draw(state, key, step, num_queries, params):
    ...         drawn, state = sampler.draw(state, key, step, num_queries, params)
    ...         leaves = zip(drawn, jax.tree.leaves(scales), strict=True)
    ...         return tuple(dataclasses.replace(r, scale=c * r.scale) for r, c in leaves), state
    ...
    ...     covariance = lambda params: jax.tree.map(lambda c: c**2, scales)
    ...     return sampler._replace(draw=draw, covariance=covariance, recall=None)
    >>> params, scales = {"b": jnp.ones(2), "w": jnp.ones((2, 2))}, {"b": 3.0, "w": 1.0}
    >>> sampler = scaled(zojax.rademacher(), scales)
    >>> directions, _ = sampler.draw((), jax.random.key(0), jnp.int32(0), 1, params)
    >>> jax.vmap(lambda d: abs(zojax.materialize(d, params)["b"]))(directions).tolist()
    [[3.0, 3.0]]

    Attributes:
      init: `params -> state`; what lives longer than a step (a basis), () if nothing does.
      draw: `(state, key, step, num_queries, params) -> (directions, state)`, with `num_queries`
        directions. `key` is the run's key; directions depend on (key, step, query, leaf path,
        role).
      observe: `(state, directions, estimate, params) -> state`, after the estimate is formed; for
        samplers that learn from what was measured, a `zojax.Estimate`: coefficients (K,), the
        losses, and curvatures if the estimator has them.
      covariance: `params -> c`, one number a leaf: E[z zᵀ] = c P with P the identity, or for a
        sampler with a basis the projector on average. The mean estimate is c times the gradient.
      recall: `(key, step, num_queries, params) -> directions`, those of an earlier step; None if
        they depend on more than this.
      subspace: coordinates that are smaller than params, None if there are none.
      one_by_one: `(state, key, step, num_queries, params) -> OneByOne`, what `draw` returns, with
        its state; None if directions are small enough to be drawn at once.
      combine_and_observe: `(state, directions, estimate, params) -> (updates, state)`, what
        `combine` and `observe` give, where making both at once spares draws; else None.
      guide: `(state, key, step, params, losses) -> state`, called before `draw` by samplers that
        measure first where to look: `losses` is a `zojax.Losses`, and what it answers counts in
        `num_evaluations`. None if it asks for nothing.
    """

    init: Callable[[Params], Any]
    draw: Callable[[Any, Key, jax.Array, int, Params], tuple[Directions, Any]]
    observe: Callable[[Any, Directions, Estimate, Params], Any]
    covariance: Callable[[Params], Params]
    recall: Callable[[Key, jax.Array, int, Params], Directions] | None = None
    subspace: Subspace | None = None
    one_by_one: Callable[[Any, Key, jax.Array, int, Params], OneByOne] | None = None
    combine_and_observe: (
        Callable[[Any, Directions, Estimate, Params], tuple[Params, Any]] | None
    ) = None
    guide: Callable[[Any, Key, jax.Array, Params, Losses], Any] | None = None


def memoryless(
    draw_one: Callable[[Key, Params], Directions],
    covariance: Callable[[Params], Params],
    *,
    in_turn: bool = False,
) -> Sampler:
    """A sampler without state from a function that draws one direction with a query's key.

    Args:
      draw_one: `(key, params) -> direction`.
      covariance: see `Sampler`.
      in_turn: draws one direction after another, for recipes that noise has to be made for.
    """

    def recall(key, step, num_queries, params):
        keys = _keys.query_keys(key, step, num_queries)
        each = jax.lax.map if in_turn else _side_by_side
        return each(lambda key: draw_one(key, params), keys)

    def draw(state, key, step, num_queries, params):
        return recall(key, step, num_queries, params), state

    return Sampler(lambda params: (), draw, ignore, covariance, recall)


def _side_by_side(fn: Callable[[Key], Directions], keys: Key) -> Directions:
    return jax.vmap(fn)(keys)


def ignore(state: Any, directions: Directions, estimate: Estimate, params: Params) -> Any:
    """The `observe` of a sampler that does not learn."""
    del directions, estimate, params
    return state


def ones(params: Params) -> Params:
    """The `covariance` of an isotropic sampler: c = 1 on every leaf."""
    return jax.tree.map(lambda _: 1.0, params)
