"""Noise with signs flipped by row and column, and its products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from tests.evaluation.rule_cases import CONTRACTIONS


@pytest.mark.parametrize("name", CONTRACTIONS)
def test_products_are_those_of_the_perturbed_leaf(name, key):
    """Queries side by side, beside the leaf plus r z."""
    case = CONTRACTIONS[name]
    leaf = jnp.cos(jnp.arange(float(np.prod(case.shape)))).reshape(case.shape).astype(case.dtype)
    sampler = zojax.flipped()

    def loss(w):
        out = case.function(w).astype(jnp.float32)
        return jnp.sum(out * jnp.cos(jnp.arange(out.size)).reshape(out.shape))

    @jax.jit
    def both(leaf):
        directions = sampler.one_by_one((), key, jnp.int32(0), 3, leaf)
        radii = jnp.array([0.5, -0.5])
        lazy = zojax.evaluate(loss, leaf, directions, radii, chunk_size=3)
        return lazy, zojax.evaluate(loss, leaf, directions, radii, materialize=True)

    lazy, dense = both(leaf)
    assert np.ptp(dense) > 1e-2
    # The noise is rounded to bfloat16 where that is what it meets.
    tolerance = 2e-5 if case.dtype == jnp.float32 else 3e-2
    np.testing.assert_allclose(lazy, dense, rtol=tolerance, atol=tolerance)


def test_a_loss_sees_the_flipped_direction(key):
    """In a scan, a gather and a contraction: lazily as with everything drawn."""
    params = {
        "stack": jax.random.normal(key, (3, 4, 4)),
        "table": jax.random.normal(key, (5, 4)),
        "b": jnp.ones(4),
        "gain": jnp.float32(1.5),
    }
    sampler = zojax.flipped(zojax.rademacher())

    def loss(x):
        h = x["table"][jnp.array([0, 3, 3])]
        h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w + x["b"]), None), h, x["stack"])
        return x["gain"] * jnp.sum(h**2)

    @jax.jit
    def all_ways():
        directions, _ = sampler.draw((), key, jnp.int32(0), 3, params)
        one_by_one = sampler.one_by_one((), key, jnp.int32(0), 3, params)
        radii = jnp.array([0.1, -0.1])
        return (
            zojax.evaluate(loss, params, directions, radii, materialize=True),
            zojax.evaluate(loss, params, directions, radii),
            *(zojax.evaluate(loss, params, one_by_one, radii, chunk_size=n) for n in (1, 2, 3)),
        )

    dense, *lazy = all_ways()
    for found in lazy:
        np.testing.assert_allclose(found, dense, rtol=1e-5)


def test_directions_of_a_step_differ_by_signs_and_are_uncorrelated(key):
    """|z| is that of one noise, and a flip is one of rows times one of columns."""
    params = {"b": jnp.zeros(5), "w": jnp.zeros((4, 6))}
    sampler = zojax.flipped()
    directions, _ = jax.jit(lambda: sampler.draw((), key, jnp.int32(3), 64, params))()
    z = jax.vmap(lambda direction: zojax.materialize(direction, params))(directions)
    for leaf in z.values():
        np.testing.assert_array_equal(np.abs(leaf), np.broadcast_to(np.abs(leaf[0]), leaf.shape))
    signs = np.sign(z["w"] * z["w"][:1])  # of each query beside those of the first
    np.testing.assert_array_equal(signs, signs[:, :, :1] * signs[:, :1, :] * signs[:, :1, :1])
    # 64 draws of a sign: within 5 standard errors of 0.
    assert np.abs(signs[1:].mean(0)).max() < 5 / np.sqrt(63)


@pytest.mark.parametrize("count", [10, 40])
def test_the_sum_of_a_step_is_that_of_its_directions(count, key):
    """U times one product of rank K, for leaves of all kinds, beside the dense sum."""
    params = {"b": jnp.zeros(5), "stack": jnp.zeros((2, 9, 4)), "w": jnp.zeros((40, 60))}
    sampler = zojax.flipped()
    coefficients = jnp.sin(jnp.arange(float(count)))

    @jax.jit
    def both():
        directions, state = sampler.draw((), key, jnp.int32(0), count, params)
        estimate = zojax.Estimate(coefficients, jnp.zeros(count))
        updates, _ = sampler.combine_and_observe(state, directions, estimate, params)
        z = jax.vmap(lambda direction: zojax.materialize(direction, params))(directions)
        return updates, jax.tree.map(lambda z: jnp.tensordot(coefficients, z, 1), z)

    updates, expected = both()
    for name, value in expected.items():
        np.testing.assert_allclose(updates[name], value, rtol=1e-5, atol=2e-5)


def test_noise_with_a_memory_is_refused(key):
    with pytest.raises(ValueError, match=r"flipped needs noise that is drawn entry by entry"):
        zojax.flipped(zojax.factored(1)).init({"w": jnp.zeros((3, 3))})
