"""The active slices of params as coordinates: links see them, and nothing else."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zojax._dtypes import widened
from zojax._typing import Params
from zojax.recipes import Block, Directions, combine_exclusive_blocks
from zojax.samplers._sampler import Subspace
from zojax.samplers.blocks._labels import Labels, Place, places


class BlockState(NamedTuple):
    """Number of the block that was active last, shape (), int32."""

    block: jax.Array


def block_recipe(recipe: Any, place: Place, block: jax.Array) -> Block:
    """The recipe of a leaf while some block is active, given that of its slice."""
    turn = block - place.first
    active = turn == 0 if place.count == 1 else (turn >= 0) & (turn < place.count)
    index = jnp.zeros((len(place.cut),), jnp.int32)
    # The last axis that is cut goes round first.
    rest = jnp.where(active, turn, 0)
    for axis in reversed(range(len(place.cut))):
        index = index.at[axis].set(rest % place.sizes[axis])
        rest = rest // place.sizes[axis]
    return Block(recipe, active, index, place.cut, None if place.cut else place.first)


def slice_space(labels: Labels) -> Subspace:
    """The coordinates of a sampler of blocks.

    What the links keep for a weight is kept with its slice, and only touched while that is active.
    What they keep besides (the step count of Adam) is kept for every block; but the counts of
    schedules are the steps of the run.
    """

    def recipes(state: BlockState, params: Params) -> Params:
        found, _ = places(labels, params)
        leaves = [block_recipe(None, place, state.block) for place in found]
        return jax.tree.unflatten(jax.tree.structure(params), leaves)

    def init(inner: optax.GradientTransformation, params: Params) -> Any:
        _, count = places(labels, params)
        return optax.tree.map_params(
            inner,
            lambda array: array,
            inner.init(widened(params)),
            transform_non_params=lambda array: jnp.broadcast_to(array, (count, *jnp.shape(array))),
        )

    def restrict(state: BlockState, params: Params) -> Params:
        return jax.tree.map(lambda leaf, block: block.taken(leaf), params, recipes(state, params))

    def add(state, key, step, coefficients, directions: Directions, params: Params) -> Params:
        del key, step
        inside = tuple(jax.vmap(Block.of_slice)(block) for block in directions)
        leaves, treedef = jax.tree.flatten(widened(restrict(state, params)))
        active = [block.active for block in treedef.flatten_up_to(recipes(state, params))]
        return treedef.unflatten(combine_exclusive_blocks(coefficients, inside, active, leaves))

    def enter(inner, kept, before, state: BlockState, step, params: Params) -> Any:
        del before
        local = optax.tree.map_params(
            inner,
            lambda array, block: block.taken(array),
            kept,
            recipes(state, params),
            transform_non_params=lambda array: array[state.block],
        )
        return jax.tree.map(
            lambda part: part._replace(count=step) if _is_schedule(part) else part,
            local,
            is_leaf=_is_schedule,
        )

    def leave(inner, kept, local, state: BlockState, params: Params) -> Any:
        writers = optax.tree.map_params(
            inner,
            lambda _, block: functools.partial(_replaced, block=block),
            kept,
            recipes(state, params),
            transform_non_params=lambda _: lambda array, new: array.at[state.block].set(new),
        )
        return jax.tree.map(lambda write, array, new: write(array, new), writers, kept, local)

    def lift(state: BlockState, x: Params, rest: Params, params: Params) -> Params:
        del rest
        return jax.tree.map(
            lambda leaf, inside, block: _replaced(jnp.full_like(leaf, -0.0), inside, block),
            params,
            x,
            recipes(state, params),
        )

    return Subspace(init, add, restrict, enter, leave, lift)


def _is_schedule(part: Any) -> bool:
    return isinstance(part, optax.ScaleByScheduleState)


def _replaced(array: jax.Array, inside: jax.Array, block: Block) -> jax.Array:
    """The array with its active slice replaced, if it has one."""
    inside = jnp.where(block.active, inside, block.taken(array))
    return block.placed(inside.astype(array.dtype), array)
