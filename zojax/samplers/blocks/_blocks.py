"""One block of params at a time, at the cost of one block."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from zojax import _checks
from zojax._schedule import make_after
from zojax._typing import Key, Params
from zojax.recipes import Directions
from zojax.samplers._sampler import Sampler, ignore
from zojax.samplers.blocks import _order
from zojax.samplers.blocks._active_slices import BlockState, block_recipe, slice_space
from zojax.samplers.blocks._labels import Labels, layer_blocks, places


def blocks(
    sampler: Sampler,
    labels: Labels = layer_blocks(),
    *,
    order: str | Sequence[int] = "permutation",
    hold: int = 1,
) -> Sampler:
    """Directions of `sampler` on one block of params, zero on all others.

    Blocks are whole leaves or slices of them (`Slices`: layers of a stack, atoms of an adapter).
    Noise is drawn, evaluated and applied for the active block only; elsewhere the loss reads the
    base weights. With one block the directions are those of `sampler`, bit by bit.

    Given block j, E[z zᵀ] is c of `sampler` times the projector on block j. If all N blocks are
    active equally often, the mean estimate is c/N times the gradient.

    Stores the number of the active block. `inner` of `estimate_gradient` sees the active slices, in
    float32 or wider; elsewhere the updates are -0.0, the number that no weight changes by when it
    is added. So put all links into `inner`, the learning rate too, for then a compiler can leave
    the other blocks in place. What links keep beside moments (Adam's count) they keep per block;
    schedules follow the steps of the run.

    Args:
      sampler: one without state, whose leaves are independent: `gaussian()` or `rademacher()`.
      labels: a tree like params with a label for each leaf, or a function from params to one.
      order: "cyclic" (0, 1, ...), "descending", "random" (independent, uniform), "permutation"
        (each once in a cycle, shuffled anew), "flip_flop" (0...N-1, N-1...0), or the numbers of
        blocks to go through, again and again.
      hold: steps that a block stays active, at least 1.

    Raises:
      TypeError: if `sampler` is something else.
      ValueError: for an unknown order, a `hold` below 1, a sampler with state; in `init` if labels
        do not fit params or the order names a block that is not there.
    """
    _checks.instance(Sampler, "zojax.gaussian()", sampler=sampler)
    _order.check(order)
    _checks.at_least(1, hold=hold)

    def slices(params: Params) -> Params:
        """The shapes of what can be active."""

        def cut(leaf, place):
            shape = tuple(1 if axis in place.cut else n for axis, n in enumerate(leaf.shape))
            return jax.ShapeDtypeStruct(shape, leaf.dtype)

        found, _ = places(labels, params)
        leaves, treedef = jax.tree.flatten(params)
        return treedef.unflatten([cut(*pair) for pair in zip(leaves, found, strict=True)])

    def turn(key: Key, step: jax.Array, params: Params) -> jax.Array:
        _, count = places(labels, params)
        # In a buffer: all leaves read it, and would work out whose turn it is for themselves.
        return make_after(
            lambda key: _order.active_block(order, key, step // hold, count), key, step
        )

    def init(params: Params) -> BlockState:
        if sampler.recall is None or jax.tree.leaves(sampler.init(params)):
            raise ValueError(
                "blocks needs a sampler without state, such as zojax.gaussian() or "
                "zojax.rademacher(); this one keeps something from step to step"
            )
        # For its errors; which block it is depends on the key.
        jax.eval_shape(lambda: turn(jax.random.key(0), jnp.int32(0), params))
        return BlockState(jnp.zeros((), jnp.int32))

    def at(
        block: jax.Array, key: Key, step: jax.Array, num_queries: int, params: Params
    ) -> Directions:
        inside = sampler.recall(key, step, num_queries, slices(params))
        found, _ = places(labels, params)

        def one(recipes: Directions) -> Directions:
            return tuple(
                block_recipe(recipe, place, block)
                for recipe, place in zip(recipes, found, strict=True)
            )

        return jax.vmap(one)(inside)

    def recall(key: Key, step: jax.Array, num_queries: int, params: Params) -> Directions:
        return at(turn(key, step, params), key, step, num_queries, params)

    def draw(state: BlockState, key: Key, step: jax.Array, num_queries: int, params: Params):
        del state
        block = turn(key, step, params)
        return at(block, key, step, num_queries, params), BlockState(block)

    def covariance(params: Params) -> Params:
        _, count = places(labels, params)
        return jax.tree.map(lambda c: c / count, sampler.covariance(params))

    return Sampler(init, draw, ignore, covariance, recall, slice_space(labels))
