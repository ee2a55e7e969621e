"""A masked direction, and its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_parts_of_leaves import LENGTHS, parts

import zojax
from zojax.noise import gaussian_law
from zojax.recipes import Dense, Masked


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 1, 1)], ids=["of a leaf", "of each layer"])
def test_parts_equal_the_same_part_of_the_whole(shape, key):
    """To the last bit, which a program that fuses the mask may round otherwise."""
    leaf = jax.random.normal(jax.random.fold_in(key, 1), LENGTHS)
    threshold = jnp.linspace(0.3, 0.9, shape[0]).reshape(shape)
    recipe = Masked(Dense.of(LENGTHS, key, gaussian_law(8)), leaf, threshold)

    @jax.jit
    def run(recipe, z):
        return {what: pair for what, *pair in parts(recipe, z)}

    whole = recipe.draw(LENGTHS)
    np.testing.assert_array_equal(whole != 0, np.abs(leaf) <= threshold)
    compared = run(recipe, whole)
    assert len(compared) >= 17
    for what, (part, expected) in compared.items():
        np.testing.assert_allclose(part, expected, rtol=2e-7, err_msg=what)


def test_a_loss_sees_the_masked_direction(key):
    """In a scan, a gather and a contraction: lazily as with everything drawn."""
    params = {
        "stack": jax.random.normal(key, (3, 4, 4)),
        "table": jax.random.normal(key, (5, 4)),
        "b": jnp.ones(4),
    }
    sampler = zojax.small_weights(zojax.gaussian(), 0.5)

    def loss(x):
        h = x["table"][jnp.array([0, 3, 3])]
        h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w + x["b"]), None), h, x["stack"])
        return jnp.sum(h**2)

    @jax.jit
    def both():
        state = sampler.init(params)
        directions, state = sampler.draw(state, key, jnp.int32(0), 2, params)
        one_by_one = sampler.one_by_one(state, key, jnp.int32(0), 2, params)
        radii = jnp.array([0.1, -0.1])
        return (
            zojax.evaluate(loss, params, directions, radii),
            zojax.evaluate(loss, params, one_by_one, radii),
            zojax.evaluate(loss, params, directions, radii, materialize=True),
        )

    lazy, in_turn, dense = both()
    np.testing.assert_allclose(lazy, dense, rtol=1e-5)
    np.testing.assert_allclose(in_turn, dense, rtol=1e-5)
