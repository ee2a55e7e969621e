"""Now and then, directions along which matrices move away from where they began, or back."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import widened
from zojax._measurement import Estimate
from zojax._typing import Key, Params
from zojax.noise import keys
from zojax.recipes import Dense, Directions, Precomputed, Sum, combine
from zojax.samplers._dense_noise import check_dense
from zojax.samplers._sampler import Sampler, ones

Chosen = Callable[[tuple, jax.Array], bool]
"""(path, leaf) -> whether the leaf is projected."""

_NAMES = {"key", "value", "k", "v", "wk", "wv", "k_proj", "v_proj"}


def keys_and_values(path: tuple, leaf: jax.Array) -> bool:
    """Whether a leaf of two axes or more makes the keys or values of attention, by its name."""
    if path and path[-1] == jax.tree_util.GetAttrKey("value"):  # of a variable of Flax NNX
        path = path[:-1]
    names = {jax.tree_util.keystr((entry,), simple=True) for entry in path}
    return leaf.ndim > 1 and bool(names & _NAMES)


class RadialState(NamedTuple):
    """State of `radial`.

    Attributes:
      anchor: x⁰, a tree like params; optax.MaskedNode for leaves that are not projected.
      ratio: γ, (projected leaves,), float32.
      drawn: ζ of the last step, (projected leaves,), float32; 0 in a step of descent.
      is_radial: whether the last step was one of projection, shape (), bool.
    """

    anchor: Params
    ratio: jax.Array
    drawn: jax.Array
    is_radial: jax.Array


def radial(
    sampler: Sampler,
    radius: ArrayLike = 1e-3,
    *,
    interval: int = 50,
    steps: int = 10,
    step_radius: ArrayLike = 0.1,
    rate: ArrayLike = 2.0,
    bound: ArrayLike = 0.2,
    projected: Chosen = keys_and_values,
) -> Sampler:
    """`interval` steps along `sampler`, then a few in which matrices change their distance from x⁰.

    With x⁰ the params that the state was made for, and a number γ for each projected leaf l, 1 when
    these steps begin and x_l = x⁰_l + γ_l D_l in all of them,

        ζ_l ~ N(0, 1) clipped to ±τ/ε,    z_l = (ε/r) ζ_l D_l;    z = 0 in other leaves         (1)
        γ_l ← γ_l - s ρ ζ_l  clipped to [1 - τ, 1 + τ],    ρ = c r/ε                            (2)

    where r is `radius`, that of the estimator, c the coefficient of the estimate and ρ therefore
    the slope in γ. The estimate in such a step is what (2) takes from x, to be subtracted from it
    as it is: with a learning rate of 1 there (`is_projection`).

    Stores x⁰ of the projected leaves, and 2 numbers for each. Asks for no loss. In all steps noise
    is drawn, and x⁰ read, as programs have a fixed form.

    Args:
      sampler: the law of the other steps, one that is drawn entry by entry: `zojax.gaussian()`,
        `zojax.rademacher()` or `zojax.sphere()`.
      radius: r, above 0.
      interval: steps of descent between those of projection, at least 1.
      steps: steps of projection, at least 1.
      step_radius: ε, relative to D; above 0.
      rate: s, at least 0.
      bound: τ, at least 0 and below 1.
      projected: which leaves are.

    Raises:
      TypeError: if `sampler` is something else.
      ValueError: if a number is out of range; in `init` if no leaf is projected, or noise is not
        drawn entry by entry; when directions are drawn for more than one query.

    Source: arXiv:2502.03304 (DiZO).
    """
    _checks.instance(Sampler, "zojax.gaussian()", sampler=sampler)
    _checks.positive(radius=radius, step_radius=step_radius)
    _checks.at_least(1, interval=interval, steps=steps)
    _checks.not_negative(rate=rate)
    _checks.below_one(bound=bound)

    def init(params: Params) -> RadialState:
        check_dense(sampler, params, "radial")
        count = sum(_chosen(params, projected))
        if not count:
            paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(params)]
            raise ValueError(
                f"no leaf of params is projected; say which are, projected=(path, leaf) -> bool, "
                f"of {', '.join(paths[:8])}{', ...' if paths[8:] else ''}"
            )
        leaves, treedef = jax.tree.flatten(params)
        anchor = [
            jnp.copy(leaf) if is_chosen else optax.MaskedNode()
            for leaf, is_chosen in zip(leaves, _chosen(params, projected), strict=True)
        ]
        return RadialState(
            treedef.unflatten(anchor),
            jnp.ones((count,), jnp.float32),
            jnp.zeros((count,), jnp.float32),
            jnp.bool(0),
        )

    def draw(state: RadialState, key: Key, step: jax.Array, num_queries: int, params: Params):
        if num_queries != 1:
            raise ValueError(f"radial has one direction a step, got num_queries = {num_queries}")
        is_radial = is_projection(step, interval, steps)
        begins = step % (interval + steps) == interval
        normal = jax.random.normal(keys.estimator_key(key, step), state.ratio.shape)
        limit = bound / step_radius
        state = RadialState(
            state.anchor,
            jnp.where(begins, 1.0, state.ratio),
            jnp.where(is_radial, jnp.clip(normal, -limit, limit), 0.0).astype(jnp.float32),
            is_radial,
        )
        noise, _ = sampler.draw((), key, step, 1, params)
        across = jnp.where(is_radial, 0.0, 1.0)
        # x - x⁰ is γ D.
        along = iter(step_radius / radius * state.drawn / state.ratio)
        anchors = iter(jax.tree.leaves(state.anchor))
        recipes = []
        leaves = zip(noise, jax.tree.leaves(params), _chosen(params, projected), strict=True)
        for u, leaf, is_chosen in leaves:
            recipe = dataclasses.replace(u, scale=across * u.scale)
            if is_chosen:
                scale = next(along)[None].astype(jnp.float32)
                away = Precomputed(leaf[None], scale), Precomputed(next(anchors)[None], -scale)
                recipe = Sum((recipe, *away))
            recipes.append(recipe)
        return tuple(recipes), state

    def combine_and_observe(
        state: RadialState, directions: Directions, measured: Estimate, params: Params
    ) -> tuple[Params, RadialState]:
        slope = measured.coefficients[0] * radius / step_radius
        moved = jnp.clip(state.ratio - rate * slope * state.drawn, 1 - bound, 1 + bound)
        ratio = jnp.where(state.is_radial, moved, state.ratio).astype(jnp.float32)
        noise: tuple[Dense, ...] = tuple(
            one.parts[0] if isinstance(one, Sum) else one for one in directions
        )
        total, treedef = jax.tree.flatten(combine(measured.coefficients, noise, widened(params)))
        changes = iter(1 - ratio / state.ratio)
        anchors = iter(jax.tree.leaves(state.anchor))
        leaves = jax.tree.leaves(params)
        for place, is_chosen in enumerate(_chosen(params, projected)):
            if is_chosen:
                x, start = (a.astype(total[place].dtype) for a in (leaves[place], next(anchors)))
                total[place] = total[place] + next(changes) * (x - start)
        updates = [u.astype(leaf.dtype) for u, leaf in zip(total, leaves, strict=True)]
        return treedef.unflatten(updates), state._replace(ratio=ratio)

    def observe(
        state: RadialState, directions: Directions, measured: Estimate, params: Params
    ) -> RadialState:
        return combine_and_observe(state, directions, measured, params)[1]

    return Sampler(init, draw, observe, ones, combine_and_observe=combine_and_observe)


def is_projection(step: jax.Array, interval: int, steps: int) -> jax.Array:
    """Whether a step is one of projection."""
    return step % (interval + steps) >= interval


def _chosen(params: Params, projected: Chosen) -> list[bool]:
    return [bool(projected(path, leaf)) for path, leaf in jax.tree.leaves_with_path(params)]
