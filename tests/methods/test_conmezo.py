"""ConMeZO is the loop of its paper, and MeZO at a right angle."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from eight_steps import START, STEPS, assert_ends_agree, eight_steps, in_numpy, logistic

import zojax
from tests.reference.conmezo import conmezo as reference


@pytest.mark.parametrize(
    ("num_queries", "momentum"),
    [(1, 0.8), (2, lambda step: 0.9 - 0.5 / (1 + step))],
    ids=["one query", "two queries and a schedule"],
)
def test_eight_steps_equal_the_papers_loop(num_queries, momentum, key, x64):
    """Fed the same u. Directions are float32 here."""
    arguments = {"radius": 1e-2, "angle": 1.1}
    tx = zojax.conmezo(0.1, key, num_queries=num_queries, momentum=momentum, **arguments)
    params, _, u = eight_steps(tx, key, num_queries)
    decays = [momentum(step) if callable(momentum) else momentum for step in range(STEPS)]
    expected, _ = reference(in_numpy, START, u, learning_rate=0.1, decays=decays, **arguments)
    assert_ends_agree(params, expected)


def test_at_a_right_angle_it_is_mezo(key):
    """cos(π/2) is 6e-17 in float64 and 4e-8 here: equal to rounding, whatever m is."""
    x = jax.tree.map(jnp.float32, START)
    ends = []
    for tx in (
        zojax.conmezo(0.1, key, radius=0.1, angle=jnp.pi / 2),
        zojax.mezo(0.1, key, radius=0.1),
    ):

        def step(carry, _, tx=tx):
            x, state = carry
            updates, state = tx.update(None, state, x, value_fn=logistic)
            return (optax.apply_updates(x, updates), state), None

        run = jax.jit(lambda x, tx=tx, step=step: jax.lax.scan(step, (x, tx.init(x)), length=8)[0])
        ends.append(run(x)[0])
    chex.assert_trees_all_close(*ends, rtol=1e-5)


PARAMS = {"b": jnp.zeros(3), "w": jnp.zeros((4, 5))}
SIZE = 23


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def drawn(sampler, state, key, count):
    """Directions of one step as rows."""
    directions, _ = sampler.draw(state, key, jnp.int32(3), count, PARAMS)
    z = jax.vmap(lambda one: zojax.materialize(one, PARAMS))(directions)
    return np.concatenate([np.reshape(leaf, (count, -1)) for leaf in jax.tree.leaves(z)], axis=1)


def test_directions_lie_on_the_cone(key):
    """With u on the sphere of radius √d: E z = √d cos θ m̂, and E[z zᵀ] as stated.

    Means of 4000 draws, entries of z being below 4 in size: within 0.12, 5 standard errors at most.
    """
    angle, count = 1.2, 4000
    sampler = zojax.cone(zojax.sphere(), angle, 0.9)
    momentum = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(5), leaf.shape), PARAMS)
    state = sampler.init(PARAMS)._replace(momentum=momentum)
    z = drawn(sampler, state, key, count)
    axis = flat(momentum) / np.linalg.norm(flat(momentum))
    np.testing.assert_allclose(
        z.mean(0), np.sqrt(SIZE) * np.cos(angle) * axis, atol=5 / np.sqrt(count)
    )
    expected = np.sin(angle) ** 2 * np.eye(SIZE)
    expected += SIZE * np.cos(angle) ** 2 * np.outer(axis, axis)
    np.testing.assert_allclose(z.T @ z / count, expected, atol=0.2)
    np.testing.assert_allclose((z**2).sum(1).mean(), SIZE, rtol=0.02)


def test_without_momentum_directions_are_the_noise(key):
    sampler = zojax.cone(zojax.gaussian(), 1.2, 0.9)
    plain = drawn(zojax.gaussian(), (), key, 2)
    np.testing.assert_array_equal(drawn(sampler, sampler.init(PARAMS), key, 2), plain)


def test_momentum_is_not_copied_for_each_query(key):
    """The step of eight queries takes less than one copy of m more than that of two, by XLA."""
    params = {"w": jnp.zeros((256, 256))}

    def temporaries(num_queries):
        tx = zojax.conmezo(0.1, key, num_queries=num_queries)
        step = jax.jit(
            lambda x, s: tx.update(None, s, x, value_fn=lambda x: jnp.sum(jnp.ones(256) @ x["w"]))
        )
        lowered = step.lower(params, jax.eval_shape(tx.init, params))
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert temporaries(8) < temporaries(2) + params["w"].nbytes


def test_a_loss_that_is_not_finite_leaves_momentum_alone(key):
    x = jax.tree.map(jnp.float32, START)
    tx = zojax.conmezo(0.1, key)
    step = jax.jit(
        lambda state, bad: tx.update(None, state, x, value_fn=lambda x: logistic(x) + bad)
    )
    _, before = step(tx.init(x), 0.0)
    updates, after = step(before, jnp.nan)
    momenta = [optax.tree.get(state, "momentum") for state in (before, after)]
    chex.assert_trees_all_equal(*momenta)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(momenta[0]))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(updates))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"angle": 0.0}, "angle must be a finite number above 0, got 0.0"),
        ({"momentum": 1.0}, "momentum must be a number of at least 0 and below 1, got 1.0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.conmezo(0.1, key, **arguments)


def test_noise_that_is_not_drawn_entry_by_entry_is_refused(key):
    tx = zojax.conmezo(0.1, key, sampler=zojax.factored(1))
    with pytest.raises(ValueError, match=r"cone needs noise that .* sampler of Dense, LowRank"):
        tx.init(PARAMS)
