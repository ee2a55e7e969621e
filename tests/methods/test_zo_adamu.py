"""ZO-AdaMU is the algorithm of its paper; at first it steps along signs."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from eight_steps import START, assert_ends_agree, eight_steps, in_numpy, logistic

import zojax
from tests.reference.zo_adamu import zo_adamu as reference


def test_eight_steps_equal_the_papers_loop(key, x64):
    """Fed the same noise, through all three phases. Directions are float32 here."""
    phases = {"warmup_steps": 2, "anneal_steps": 4}
    tx = zojax.zo_adamu(0.01, key, radius=1e-2, alpha=0.4, b1=0.8, b2=0.3, **phases)
    params, _, noise = eight_steps(tx, key, 2)
    expected, _ = reference(
        in_numpy, START, noise, learning_rate=0.01, radius=1e-2, ends=(0.4, 0.8, 0.3), **phases
    )
    assert_ends_agree(params, expected, rtol=2e-6)


def test_in_the_warm_up_it_measures_noise_and_steps_along_its_signs(key):
    """1e-8 under the root is nothing beside a number of 8 bits: n² is 2e-5 at the least."""
    x = jax.tree.map(jnp.float32, START)
    (updates, state), (expected, plain_state) = (
        tx.update(None, tx.init(x), x, value_fn=logistic)
        for tx in (zojax.zo_adamu(0.5, key, radius=0.1), zojax.mezo(0.5, key, radius=0.1))
    )
    slope = optax.tree.get(plain_state, "coefficients")
    np.testing.assert_allclose(optax.tree.get(state, "coefficients"), slope, rtol=1e-4)
    signs = jax.tree.map(lambda u: 0.5 * jnp.abs(slope) * jnp.sign(u), expected)
    chex.assert_trees_all_close(updates, signs, rtol=1e-3)


def test_the_direction_that_is_kept_is_the_one_that_was_measured(key):
    x = jax.tree.map(jnp.float32, START)
    sampler = zojax.annealed(alpha=0.4, b1=0.7, b2=0.2, warmup_steps=0, anneal_steps=1)
    state = sampler.init(x)._replace(history=jax.tree.map(jnp.ones_like, x))
    directions, state = sampler.draw(state, key, jnp.int32(5), 1, x)
    measured = zojax.Estimate(jnp.array([0.0]), jnp.zeros((1, 2)))
    z = zojax.materialize(jax.tree.map(lambda array: array[0], directions), x)
    updates, after = sampler.combine_and_observe(state, directions, measured, x)
    chex.assert_trees_all_close(after.history, z, rtol=1e-6)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(updates))
    np.testing.assert_allclose(state.mixture, [0.4, 0.7, 0.2], rtol=1e-6)


def test_a_loss_that_is_not_finite_leaves_the_history_alone(key):
    x = jax.tree.map(jnp.float32, START)
    tx = zojax.zo_adamu(0.1, key)
    step = jax.jit(
        lambda state, bad: tx.update(None, state, x, value_fn=lambda x: logistic(x) + bad)
    )
    _, before = step(tx.init(x), 0.0)
    updates, after = step(before, jnp.nan)
    chex.assert_trees_all_equal(*(optax.tree.get(state, "history") for state in (before, after)))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(updates))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.5}, "alpha must be a number from 0 to 1, got 1.5"),
        ({"b2": -0.1}, "b2 must be a number from 0 to 1, got -0.1"),
        ({"anneal_steps": 0}, "anneal_steps must be an integer of at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.zo_adamu(0.1, key, **arguments)
