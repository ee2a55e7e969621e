"""An estimate along random directions, and one along the coordinates that it shows to matter."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import widened
from zojax._measurement import Estimate, Losses
from zojax._typing import Key, Params
from zojax.noise import keys
from zojax.recipes import Directions, combine
from zojax.samplers._sampler import Sampler, ones
from zojax.samplers._units import entry_of


class HybridState(NamedTuple):
    """State of `hybrid`.

    Attributes:
      random_estimate: g_r of the last step, a tree like params, float32.
      entries: the coordinates of the last step, numbered through all leaves, (n_c,), uint32.
      weights: 1/q of each, (n_c,), float32; not a number if a loss of g_r was none.
    """

    random_estimate: Params
    entries: jax.Array
    weights: jax.Array


def hybrid(
    sampler: Sampler,
    num_coordinates: int,
    radius: ArrayLike = 1e-3,
    num_queries: int = 10,
    *,
    alpha: ArrayLike = 0.5,
    uniform_share: ArrayLike = 0.1,
) -> Sampler:
    """Unit vectors e_j, j drawn by the size of the entries of an estimate that is made before.

        g_r = (1/n_r) Σ_i [f(x + r z_i) - f(x)] / r z_i,    z_i ~ `sampler`                      (1)
        q_j = (1 - κ) |g_r,j| / Σ_l |g_r,l| + κ/d,    j_1...j_n ~ q                              (2)
        estimate = α g_r + (1 - α) Σ_k c_k e_{j_k} / q_{j_k}                                     (3)

    with d entries of params and the coefficients c of an estimator of n queries, which are slopes
    over n. Given g_r the mean of the sum in (3) is the gradient, whatever q is above 0; (2) is near
    the q of least variance, |∂_j f|, as well as g_r knows it.

    Stores g_r, a tree like params, which also exists as one vector while (2) is drawn from it: for
    problems of few dimensions. Asks for n_r + 1 losses. `covariance` says 1.

    Args:
      sampler: the law of z, one that remembers nothing.
      num_coordinates: n, the queries of the estimator; at least 1.
      radius: r, above 0.
      num_queries: n_r, at least 1.
      alpha: α, from 0 to 1.
      uniform_share: κ, from 0 to 1; with 0, weights 1/q have no bound.

    Raises:
      TypeError: if `sampler` is something else.
      ValueError: if a number is out of range, or the sampler remembers; when directions are drawn
        for another number of queries than n.

    Source: Sharma et al., arXiv:2012.11518 (ZO-HGD).
    """
    _checks.instance(Sampler, "zojax.sphere()", sampler=sampler)
    _checks.positive(radius=radius)
    _checks.at_least(1, num_coordinates=num_coordinates, num_queries=num_queries)
    _checks.share(alpha=alpha, uniform_share=uniform_share)
    if sampler.recall is None:
        raise ValueError(
            "hybrid needs a sampler without memory, such as zojax.sphere() or zojax.gaussian()"
        )

    def init(params: Params) -> HybridState:
        zeros = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, jnp.float32), params)
        entries = jnp.zeros((num_coordinates,), jnp.uint32)
        return HybridState(zeros, entries, jnp.zeros((num_coordinates,), jnp.float32))

    def guide(
        state: HybridState, key: Key, step: jax.Array, params: Params, losses: Losses
    ) -> HybridState:
        directions = sampler.recall(key, step, num_queries, params)
        base = losses.base()  # first, so that what follows waits for it
        slopes = (losses.along(directions, radius) - base) / radius
        finite = jnp.all(jnp.isfinite(slopes))
        coefficients = jnp.where(finite, slopes / num_queries, 0.0)
        estimate = combine(coefficients, directions, widened(params))
        magnitudes = jnp.concatenate(
            [jnp.abs(leaf).astype(jnp.float32).reshape(-1) for leaf in jax.tree.leaves(estimate)]
        )
        shares = _shares(magnitudes, uniform_share)
        below = jax.random.uniform(keys.estimator_key(key, step), (num_coordinates,))
        ends = jnp.cumsum(shares)
        entries = jnp.searchsorted(ends, below * ends[-1], side="right")
        entries = jnp.minimum(entries, shares.size - 1)
        weights = jnp.where(finite, 1 / shares[entries], jnp.nan)
        return HybridState(
            jax.tree.map(lambda leaf: leaf.astype(jnp.float32), estimate),
            entries.astype(jnp.uint32),
            weights.astype(jnp.float32),
        )

    def draw(state: HybridState, key: Key, step: jax.Array, queries: int, params: Params):
        if queries != num_coordinates:
            raise ValueError(
                f"hybrid was made for an estimator of {num_coordinates} queries, got {queries}; "
                "give num_coordinates that number"
            )
        # Along what is not a number nothing is measured, and the step is not taken.
        scale = jnp.where(jnp.isfinite(state.weights), 1.0, jnp.nan)
        each = jax.vmap(lambda entry, scale: entry_of(entry, params, scale))
        return each(state.entries, scale), state

    def combine_and_observe(
        state: HybridState, directions: Directions, measured: Estimate, params: Params
    ) -> tuple[Params, HybridState]:
        weighted = (1 - alpha) * measured.coefficients * state.weights
        # In a step that is not taken neither has a say.
        finite = jnp.all(jnp.isfinite(weighted)) & jnp.all(jnp.isfinite(measured.losses))
        by_coordinate = combine(jnp.where(finite, weighted, 0.0), directions, widened(params))
        total = jax.tree.map(
            lambda g, e: jnp.where(finite, alpha * g + e, 0.0),
            state.random_estimate,
            by_coordinate,
        )
        return optax.tree.cast_like(total, params), state

    def observe(
        state: HybridState, directions: Directions, measured: Estimate, params: Params
    ) -> HybridState:
        del directions, measured, params
        return state

    return Sampler(init, draw, observe, ones, guide=guide, combine_and_observe=combine_and_observe)


def _shares(magnitudes: jax.Array, uniform_share: ArrayLike) -> jax.Array:
    """The q of (2), (d,); uniform where there is nothing to go by."""
    total = jnp.sum(magnitudes)
    even = jnp.full_like(magnitudes, 1 / magnitudes.size)
    by_size = jnp.where(total > 0, magnitudes / jnp.where(total > 0, total, 1.0), even)
    return (1 - uniform_share) * by_size + uniform_share * even
