"""Leaves of one shape that are never active together share one draw.

Of the layers of a list one is active at a time. A draw for each leaf of each layer would be
compiled as often as there are leaves, and the results of its conditional, mostly zeros, would be
written for all of them.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._schedule import true_after
from zojax.recipes._block import Block
from zojax.recipes._combine import combine
from zojax.recipes._dense import Dense
from zojax.recipes._precomputed import Precomputed
from zojax.recipes._recipe import Directions


def draw_exclusive_blocks_once(
    direction: Directions, shapes: Sequence[tuple[int, ...]]
) -> Directions:
    """One direction whose leaves that share a draw are drawn."""
    recipes = list(direction)
    for group in _groups(recipes, shapes):
        if len(group) > 1:
            z = merged([recipes[place] for place in group]).draw(shapes[group[0]])
            for place in group:
                block = recipes[place]
                recipes[place] = Block(Precomputed(z), block.active, block.index, (), block.number)
    return tuple(recipes)


def combine_exclusive_blocks(
    coefficients: jax.Array,
    blocks: Sequence[Block],
    active: Sequence[jax.Array],
    leaves: Sequence[jax.Array],
) -> list[jax.Array]:
    """`combine` for blocks that are whole leaves: 0 where another is active.

    Args:
      coefficients: (K,).
      blocks: K recipes of each leaf.
      active: whether a leaf is active.
      leaves: give shapes and dtypes.
    """
    out: dict[int, jax.Array] = {}
    before = coefficients
    for group in _groups(blocks, [(*leaf.shape, leaf.dtype) for leaf in leaves]):
        # One after another: else the draws, which depend on no loss, are made before all
        # evaluations, and exist at once.
        now = true_after(before)
        recipe = jax.vmap(lambda group, now=now: merged(group).there(now))(
            [blocks[place] for place in group]
        )
        (total,) = combine(coefficients, (recipe,), [leaves[group[0]]])
        before = total if total.size else before
        for place in group:
            out[place] = total if len(group) == 1 else jnp.where(active[place], total, 0)
    return [out[place] for place in range(len(blocks))]


def merged(blocks: Sequence[Block]) -> Block:
    """The recipe of the one that is active, if one is."""
    recipe, active = blocks[0].recipe, blocks[0].active
    for block in blocks[1:]:
        recipe = jax.tree.map(functools.partial(jnp.where, block.active), block.recipe, recipe)
        active = active | block.active
    return Block(recipe, active, blocks[0].index, ())


def _groups(recipes: Sequence[Any], kinds: Sequence[Any]) -> list[list[int]]:
    """The places that share a draw, and every other place alone."""
    groups: dict[Any, list[int]] = {}
    seen: dict[Any, int] = {}
    for place, (recipe, kind) in enumerate(zip(recipes, kinds, strict=True)):
        name: Any = place
        whole = isinstance(recipe, Block) and recipe.number is not None
        if whole and isinstance(recipe.recipe, Dense):
            how = (kind, recipe.recipe.law, recipe.recipe.axes)
            # The second leaf of a shape in one block goes with the second ones of the others.
            count = seen[how, recipe.number] = seen.get((how, recipe.number), -1) + 1
            name = (how, count)
        groups.setdefault(name, []).append(place)
    return [
        part
        for group in groups.values()
        for part in (
            [group]
            if len(group) >= _thresholds.LEAST_EXCLUSIVE_LEAVES
            else [[place] for place in group]
        )
    ]
