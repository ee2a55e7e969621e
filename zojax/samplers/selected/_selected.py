"""One direction, made of candidates by what the loss is along them."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._measurement import Losses
from zojax._typing import Key, Params
from zojax.recipes import Dense, Directions, LowRank, Recipe, Sum
from zojax.recipes._recipe import query
from zojax.samplers._sampler import Sampler, ignore


class SelectedState(NamedTuple):
    """State of `selected`.

    Attributes:
      weights: what the candidates of the last step were multiplied with, (M,), float32; not a
        number if one of their losses was none.
      kept: step and place of the candidate that was kept for the last step, (2,), int32.
      best: the same of its best candidate; the step is -1 before the first.
    """

    weights: jax.Array
    kept: jax.Array
    best: jax.Array


def selected(
    sampler: Sampler,
    radius: ArrayLike = 1e-3,
    candidates: int = 2,
    rule: str = "contrast",
    *,
    elite: int | None = None,
    remember: bool = False,
) -> Sampler:
    """A sum v = Σ_i w_i z_i of M candidates z_i ~ `sampler`, weighted by the ranks of f(x + r z_i).

        contrast    v = mean of the m candidates of lowest loss - mean of the others            (1)
        greedy      v = the candidate of lowest loss                                            (2)

    With `remember` one of the candidates is the best one of the step before, measured anew, and
    M - 1 are new.

    A central estimate along v does not depend on the sign of v. So on a linear loss two candidates
    are worth no more than one: (1) is ±(z_1 - z_2), and the slope along (2) is the lower one of two
    gaussian numbers, whose square has the mean 1; 1.27, 1.55, 2.40 for M = 3, 4, 8.

    E[v vᵀ] = (1/m + 1/(M - m)) I for (1), I for (2), but for the part along the gradient, which is
    what is selected for; `covariance` says these. Directions depend on the batch, so a step cannot
    be made of several calls (`accumulate`).

    Costs M loss evaluations a step besides those of the estimate. Stores M + 4 numbers; candidates
    are drawn where they are used.

    Args:
      sampler: the law of z, one that remembers nothing: dense noise for (1), or factors for (2).
      radius: r, above 0.
      candidates: M, at least 2.
      rule: "contrast" or "greedy".
      elite: m, from 1 to M - 1; None for ⌊M/2⌋.
      remember: whether the best candidate is kept.

    Raises:
      TypeError: if `sampler` is something else.
      ValueError: if a number is out of range, for an unknown rule, or a sampler that remembers;
        when directions are drawn for more than one query, or from a law that does not go with the
        rule.

    Source: arXiv:2601.04710 (MeZO-GV) and its code, whose main trainer is `remember` with M = 2.
    """
    _checks.instance(Sampler, "zojax.gaussian()", sampler=sampler)
    _checks.flag(remember=remember)
    _checks.positive(radius=radius)
    _checks.at_least(2, candidates=candidates)
    _checks.one_of(("contrast", "greedy"), rule=rule)
    m = candidates // 2 if elite is None else elite
    _checks.at_least(1, elite=m)
    if m >= candidates:
        raise ValueError(
            f"elite must be below candidates = {candidates}, got {elite}: the others are what it "
            "is compared with"
        )
    if sampler.recall is None:
        raise ValueError(
            "selected needs a sampler without memory, whose directions can be drawn again, such as "
            "zojax.gaussian()"
        )

    def init(params: Params) -> SelectedState:
        del params
        kept, best = (jnp.array([-1, 0], jnp.int32) for _ in range(2))
        return SelectedState(jnp.zeros((candidates,), jnp.float32), kept, best)

    def guide(
        state: SelectedState, key: Key, step: jax.Array, params: Params, losses: Losses
    ) -> SelectedState:
        kept = state._replace(kept=state.best)
        values = losses.along(_drawn(kept, key, step, params), radius)
        lowest = jnp.argmin(values).astype(jnp.int32)
        best = jnp.stack([jnp.asarray(step, jnp.int32), lowest])
        if remember:
            is_kept = (lowest == candidates - 1) & (kept.kept[0] >= 0)
            best = jnp.where(is_kept, kept.kept, best)
        # Along what is not a number nothing is measured, and the step is not taken.
        finite = jnp.all(jnp.isfinite(values))
        weights = jnp.where(finite, _weights(values), jnp.nan).astype(jnp.float32)
        return SelectedState(weights, kept.kept, jnp.where(finite, best, state.best))

    def _weights(values: jax.Array) -> jax.Array:
        order = jnp.argsort(values)  # of equal losses the first candidate counts as the lower one
        first = jnp.arange(candidates) < (1 if rule == "greedy" else m)
        rest = 0.0 if rule == "greedy" else -1 / (candidates - m)
        ranked = jnp.where(first, 1.0 if rule == "greedy" else 1 / m, rest)
        return jnp.zeros(candidates).at[order].set(ranked)

    def _drawn(state: SelectedState, key: Key, step: jax.Array, params: Params) -> Directions:
        """The candidates: keys and thin factors; no noise is drawn here."""
        new = sampler.recall(key, step, candidates, params)
        if not remember:
            return new
        earlier, place = state.kept
        old = query(sampler.recall(key, jnp.maximum(earlier, 0), candidates, params), place)
        return jax.tree.map(
            lambda new, old: jnp.where(earlier < 0, new, new.at[-1].set(old)), new, old
        )

    def draw(state: SelectedState, key: Key, step: jax.Array, num_queries: int, params: Params):
        if num_queries != 1:
            raise ValueError(
                f"selected makes one direction a step, got num_queries = {num_queries}; take more "
                "candidates"
            )
        made = _best if rule == "greedy" else _contrast
        drawn = _drawn(state, key, step, params)
        return tuple(made(recipe, state.weights) for recipe in drawn), state

    def covariance(params: Params) -> Params:
        c = 1.0 if rule == "greedy" else 1 / m + 1 / (candidates - m)
        return jax.tree.map(lambda _: c, params)

    return Sampler(init, draw, ignore, covariance, guide=guide)


def _best(candidates: Recipe, weights: jax.Array) -> Recipe:
    """The candidate of weight 1; the array of queries leads with 1."""
    best = jnp.argmax(weights)
    taken = jax.tree.map(lambda array: array[best][None], candidates)
    weight = weights[best]  # 1, or not a number
    if isinstance(taken, Dense):
        return dataclasses.replace(taken, scale=weight * taken.scale)
    if isinstance(taken, LowRank):
        return dataclasses.replace(taken, left=weight * taken.left)
    raise ValueError(_unfit("greedy", taken))


def _contrast(candidates: Recipe, weights: jax.Array) -> Sum:
    """Σ_i w_i z_i of one leaf."""
    if not isinstance(candidates, Dense):
        raise ValueError(_unfit("contrast", candidates))
    parts = []
    for place in range(weights.shape[0]):
        part = jax.tree.map(lambda array, place=place: array[place][None], candidates)
        parts.append(dataclasses.replace(part, scale=weights[place] * part.scale))
    return Sum(tuple(parts))


def _unfit(rule: str, recipe: Recipe) -> str:
    return (
        f'rule "{rule}" does not go with directions of the kind {type(recipe).__name__}: '
        '"contrast" takes those that are drawn entry by entry, as zojax.gaussian(), '
        'zojax.rademacher() and zojax.sphere() draw them, "greedy" those of zojax.factored as well'
    )
