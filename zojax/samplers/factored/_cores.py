"""The cores of factored directions as coordinates: Z = scale · L · x · Rᵀ with L and R kept."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from zojax._dtypes import wide
from zojax._schedule import make_after
from zojax._typing import Key, Params
from zojax.noise import _keys
from zojax.recipes import draw_update
from zojax.samplers._subspace import Subspace
from zojax.samplers.factored._matrices import Kinds, Matrix
from zojax.samplers.factored._parts import begins, draw_part


def has_cores(kinds: Kinds, periods: dict[str, int | None]) -> bool:
    """Whether all queries of a step differ in their cores alone."""
    lasting = all(
        getattr(kinds, side) == "identity" or period != 0 for side, period in periods.items()
    )
    return lasting and kinds.core != "identity"


def core_space(
    kinds: Kinds,
    periods: dict[str, int | None],
    seen: Callable[[Params], list[Matrix | None]],
    at_refresh: str,
) -> Subspace:
    """The coordinates of a factored sampler whose state is {side: kept parts}."""

    def tree(cores: list[jax.Array], params: Params) -> Params:
        rest = iter(cores)
        leaves = [optax.MaskedNode() if m is None else next(rest) for m in seen(params)]
        return jax.tree.unflatten(jax.tree.structure(params), leaves)

    def zeros(params: Params) -> Params:
        pairs = zip(seen(params), jax.tree.leaves(params), strict=True)
        pairs = [(matrix, leaf) for matrix, leaf in pairs if matrix is not None]
        return tree([jnp.zeros(m.shapes["core"], wide(leaf.dtype)) for m, leaf in pairs], params)

    def init(inner: optax.GradientTransformation, params: Params) -> Any:
        return inner.init(zeros(params))

    def combine(state, key: Key, step, coefficients, directions, params: Params) -> Params:
        del state, directions
        leaves = seen(params)
        keys = _keys.query_keys(key, step, coefficients.shape[0])

        def add(total: list[jax.Array], query) -> tuple[list[jax.Array], None]:
            key, coefficient = query
            drawn = draw_part("core", kinds, key, params, leaves)
            pairs = zip(total, drawn, strict=True)
            return [t + coefficient.astype(t.dtype) * core for t, core in pairs], None

        start = jax.tree.leaves(zeros(params))
        return tree(jax.lax.scan(add, start, (keys, coefficients))[0], params)

    def enter(inner, kept, before, state, step, params: Params) -> Any:
        moved = jnp.any(jnp.array([begins(periods[side], step) for side in state], bool))
        # There is nothing to carry over before the first step.
        moved = moved & (step > 0)
        if at_refresh == "reset":
            return jax.lax.cond(moved, lambda: init(inner, params), lambda: kept)

        def carried() -> Any:
            changes = tree(_changes(kinds, at_refresh, before, state), params)
            return optax.tree.map_params(inner, lambda x, change: change(x), kept, changes)

        return jax.lax.cond(moved, carried, lambda: kept)

    def lift(state, x: Params, rest: Params, params: Params, power: int = 1) -> Params:
        leaves, treedef = jax.tree.flatten(params)
        lifted, cores, matrices = jax.tree.leaves(rest), jax.tree.leaves(x), seen(params)
        places = [place for place, matrix in enumerate(matrices) if matrix is not None]
        for index, place in enumerate(places):
            kept = (state[side][index] if side in state else None for side in _SIDES)
            left, right = (None if part is None else part**power for part in kept)
            # One leaf after another, else the updates of all are made before the first is applied.
            core = cores[index]
            if index:
                core = make_after(lambda core: core, core, lifted[places[index - 1]])
            factors = matrices[place].factors(*fold(kinds, left, core, right))
            factors = dataclasses.replace(factors, scale=factors.scale**power)
            lifted[place] = draw_update(factors, leaves[place]).astype(leaves[place].dtype)
        return treedef.unflatten(lifted)

    return Subspace(
        init,
        combine,
        restrict=lambda state, params: None,
        enter=enter,
        leave=lambda inner, kept, local, state, params: local,
        lift=lift,
        lift_squares=functools.partial(lift, power=2),
    )


_SIDES = ("left", "right")


def fold(kinds: Kinds, left, core, right) -> tuple[jax.Array, jax.Array]:
    """L · core · Rᵀ as two factors; a part that is an identity is None."""
    if kinds.core == "identity":
        return left, right
    if kinds.core == "diagonal":
        return left * core, right
    if left is None:
        return core, right
    if right is None:
        return left, jnp.swapaxes(core, -1, -2)
    return left @ core, right


def _changes(kinds: Kinds, at_refresh: str, before: Any, state: Any) -> list[Callable]:
    """For each matrix the function to what its core becomes in the new basis."""

    def inverse(side: str, part: jax.Array) -> jax.Array:
        if getattr(kinds, side) == "haar":
            return part.mT
        if at_refresh == "sketch":
            return part.mT / part.shape[-2]
        return jnp.linalg.pinv(part)

    def change(olds: dict[str, jax.Array], news: dict[str, jax.Array]) -> Callable:
        moves = {side: inverse(side, new) @ olds[side] for side, new in news.items()}

        def moved(core: jax.Array) -> jax.Array:
            new = moves["left"] @ core if "left" in moves else core
            new = new @ moves["right"].mT if "right" in moves else new
            return new.astype(core.dtype)

        return moved

    bases = [
        [dict(zip(kept, parts, strict=True)) for parts in zip(*kept.values(), strict=True)]
        for kept in (before, state)
    ]
    return [change(*pair) for pair in zip(*bases, strict=True)]
