"""Leaves that are never active together share one draw, whose values are those of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax.recipes import Precomputed, combine, draw_exclusive_blocks_once
from zojax.samplers.blocks._active_slices import slice_space

LAYERS = 9
PARAMS = {
    "layers": [
        {"a": jnp.ones((2, 3)), "b": jnp.ones((2, 3)), "scale": jnp.ones(3)} for _ in range(LAYERS)
    ],
    "embed": jnp.ones((2, 3)),
}
LEAVES, TREE = jax.tree.flatten(PARAMS)
SHAPES = [leaf.shape for leaf in LEAVES]


def drawn(sampler, key, step, num_queries):
    state = sampler.init(PARAMS)
    return sampler.draw(state, key, step, num_queries, PARAMS)


@pytest.mark.parametrize("sampler", [zojax.gaussian(), zojax.rademacher()], ids=["normal", "signs"])
def test_one_draw_serves_all_layers(sampler, key):
    """The embedding, of the same shape, is a tenth block, and shares with the layers' first."""
    blocks = zojax.blocks(sampler, order="cyclic")

    @jax.jit
    def both(step):
        directions, _ = drawn(blocks, key, step, 1)
        one = jax.tree.map(lambda array: array[0], directions)
        shared = draw_exclusive_blocks_once(one, SHAPES)
        assert all(isinstance(block.recipe, Precomputed) for block in shared)
        assert len({id(block.recipe.z) for block in shared}) == 3
        return [
            [block.draw(shape) for block, shape in zip(recipes, SHAPES, strict=True)]
            for recipes in (one, shared)
        ]

    seen = set()
    for step in range(LAYERS + 1):
        own, shared = both(step)
        active = [place for place, z in enumerate(own) if np.any(z)]
        assert len(active) in (1, 3)
        seen.update(active)
        for expected, got in zip(own, shared, strict=True):
            np.testing.assert_array_equal(got, expected)
    assert len(seen) == len(LEAVES)


def test_the_sum_of_several_queries_is_that_of_their_own_draws(key):
    blocks = zojax.blocks(zojax.gaussian(), order="cyclic")
    coefficients = jnp.array([0.5, -2.0, 3.0])

    @jax.jit
    def both(step):
        directions, state = drawn(blocks, key, step, 3)
        space = slice_space(zojax.layer_blocks())
        x = space.combine(state, key, step, coefficients, directions, PARAMS)
        return x, combine(coefficients, directions, PARAMS)

    for step in (0, 4, LAYERS):
        x, expected = both(step)
        assert sum(np.any(z) for z in jax.tree.leaves(expected)) in (1, 3)
        jax.tree.map(np.testing.assert_array_equal, x, expected)
