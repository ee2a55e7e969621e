"""Directions of earlier steps are drawn again as they were measured."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.compiling import AS_USERS_HAVE
from zojax.estimators import Estimate, Estimator

PARAMS = {"b": jnp.zeros(3), "w": jnp.zeros((4, 3))}
H, K, STEPS = 3, 2, 7
SAMPLERS = {
    "gaussian": zojax.gaussian(),
    "rademacher": zojax.rademacher(),
    "sphere": zojax.sphere(),
    "coordinate": zojax.coordinate(),
    "cyclic": zojax.coordinate("cyclic"),
    "factored": zojax.factored(1),
    "kept for 2 steps": zojax.factored(
        2, left="haar", core="gaussian", left_period=2, right_period=None
    ),
}


def weighted():
    """Fixed numbers for coefficients, 0 where there was no step yet."""
    numbers = jnp.asarray(np.random.default_rng(8).normal(size=(H + 1, K)), jnp.float32)

    def estimate(count, probe):
        del probe
        there = jnp.arange(H + 1)[:, None] <= count
        return Estimate(jnp.where(there, numbers, 0), jnp.zeros(1)), count + 1

    return Estimator(K, lambda: jnp.int32(0), estimate, H), numbers


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_window_holds_the_directions_that_were_drawn(name, key):
    """Bit by bit what a buffer of them gives, also across a new basis."""
    sampler = SAMPLERS[name]
    estimator, numbers = weighted()
    tx = zojax.estimate_gradient(key, sampler, estimator)

    # Bits are compared: of programs as users have them.
    @functools.partial(jax.jit, compiler_options=AS_USERS_HAVE)
    def run():
        def step(carry, count):
            state, drawn = carry
            updates, state = tx.update(None, state, PARAMS, value_fn=lambda x: x["b"][0])
            directions, drawn = sampler.draw(drawn, key, count, K, PARAMS)
            return (state, drawn), (updates, directions)

        def from_buffer(count):
            past = count - jnp.arange(H + 1)
            window = jax.tree.map(lambda array: array[jnp.maximum(past, 0)], buffer)
            flat = jax.tree.map(lambda array: array.reshape(-1, *array.shape[2:]), window)
            weights = jnp.where(past[:, None] >= 0, numbers, 0)
            return zojax.combine(weights.reshape(-1), flat, PARAMS)

        carry = tx.init(PARAMS), sampler.init(PARAMS)
        _, (updates, buffer) = jax.lax.scan(step, carry, jnp.arange(STEPS))
        return updates, jax.lax.map(from_buffer, jnp.arange(STEPS))

    updates, expected = run()
    for leaf in PARAMS:
        assert updates[leaf].any()
        np.testing.assert_array_equal(updates[leaf], expected[leaf])


def test_a_sampler_that_learns_cannot_be_asked_again(key):
    learning = zojax.gaussian()._replace(recall=None)
    message = r"a history of 5 steps, but this sampler cannot draw directions of earlier steps"
    with pytest.raises(ValueError, match=message):
        zojax.estimate_gradient(key, learning, zojax.averaged_baseline())
    zojax.estimate_gradient(key, learning, zojax.averaged_baseline(history=0))


def test_inner_links_and_a_history_are_refused(key):
    """Directions of earlier steps may have other coordinates."""
    sampler = zojax.factored(1, core="gaussian", left_period=2, right_period=2)
    message = r"inner does not go with an estimator that has a history of 5 steps"
    with pytest.raises(ValueError, match=message):
        zojax.estimate_gradient(key, sampler, zojax.averaged_baseline(), inner=optax.trace(0.9))
