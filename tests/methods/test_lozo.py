"""LOZO and LOZO-M are the algorithms of the paper."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.methods import taped
from tests.reference.lozo import lozo as reference

RANK, PERIOD = 2, 3
OPTIONS = {"learning_rate": 0.05, "radius": 1e-2, "weight_decay": 0.2}


@functools.cache
def recorded(momentum):
    """Eight steps, and V, U and z."""
    key = jax.random.key(0)
    tx = zojax.lozo(key=key, rank=RANK, period=PERIOD, momentum=momentum, **OPTIONS)
    sampler = zojax.factored(
        RANK, left="identity", core="gaussian", right="gaussian", right_period=PERIOD
    )

    def look(directions, kept, step):
        del step
        noise = {"b": taped.dense(directions)["b"][0]}
        for name, recipe in zip(taped.MATRICES, directions[1:], strict=True):
            noise[name] = recipe.left[0]
        return dict(zip(taped.MATRICES, kept["right"], strict=True)), noise

    return taped.run(tx, sampler, key, look)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_eight_steps_equal_the_papers_loop(momentum):
    """Fed the same V, U and z, over two refreshes."""
    got = recorded(momentum)
    steps = jax.tree.map(np.float64, got.tape)
    expected, slopes = reference(
        lambda x: taped.network(x, np), taped.START, steps, momentum=momentum, **OPTIONS
    )
    found = got.x | {"s": got.coefficients[:, 0]}
    taped.assert_close(found, expected | {"s": slopes})
    assert optax.tree.get(got.state, "num_evaluations") == 16


def test_rows_of_what_is_gained_lie_in_the_span_of_v():
    """Until V is drawn anew: W_3 - (1 - η λ)³ W_0."""
    got = recorded(0.0)
    kept = 1 - OPTIONS["learning_rate"] * OPTIONS["weight_decay"]
    for name in taped.MATRICES:
        v = np.float64(got.tape[0][0][name])
        outside = np.eye(len(v)) - v @ np.linalg.pinv(v)
        moves = [got.visited[name][t - 1] - kept**t * taped.START[name] for t in (3, 4)]
        before, after = (np.linalg.norm(w @ outside) for w in moves)
        assert before < 1e-7 < 1e-3 < after


def test_a_basis_for_each_step_is_mezo_with_the_directions_of_eggroll_in_law(key):
    """Of a linear loss on a 2 by 3 matrix with r = 2: E‖s Z‖² = 14 ‖g‖², and the mean is g.

    mn + 2 + 2 (m + n + 1)/r = 14. The squared length of 4000 independent keys has a standard
    deviation of at most 6 times its mean.
    """
    g = np.float32([[1.0, -2.0, 0.5], [0.5, 3.0, -1.0]])
    x = {"w": jnp.zeros((2, 3))}

    @jax.jit
    @jax.vmap
    def estimate(key):
        tx = zojax.lozo(1.0, key, rank=2, period=1, radius=1.0, bits=32)
        updates, _ = tx.update(None, tx.init(x), x, value_fn=lambda x: jnp.sum(g * x["w"]))
        return -updates["w"]

    found = np.asarray(estimate(jax.random.split(key, 4000)))
    norm = np.sum(g**2)
    assert np.abs(found.mean(0) - g).max() < 5 * np.sqrt(14 * norm / 4000)
    lengths = np.sum(found**2, (1, 2))
    np.testing.assert_allclose(lengths.mean(), 14 * norm, rtol=5 * 6 / np.sqrt(4000))


def test_a_step_without_a_finite_loss_changes_neither_params_nor_averages(key):
    tx = zojax.lozo(0.1, key, rank=2, period=5, momentum=0.9, weight_decay=0.1)
    x = {"b": jnp.ones(3), "w": jnp.ones((3, 2))}

    @jax.jit
    def step(x, state, spoil):
        def loss(x):
            return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(x)) + spoil

        updates, state = tx.update(None, state, x, value_fn=loss)
        return optax.apply_updates(x, updates), state

    x, state = step(x, tx.init(x), 0.0)
    same, after = step(x, state, jnp.nan)
    assert all((a == b).all() for a, b in zip(*map(jax.tree.leaves, (same, x)), strict=True))
    kept = [optax.tree.get_all_with_path(state, "average") for state in (state, after)]
    assert len(kept[0]) == 2
    for a, b in zip(*(jax.tree.leaves([tree for _, tree in one]) for one in kept), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.any(a)


def test_what_is_carried_over_at_a_refresh_is_the_papers_projection(key):
    """N ← N Vᵀ V' / n for gaussian sides."""
    rng = np.random.default_rng(1)
    params = {"w": jnp.zeros((4, 5))}
    sampler = zojax.factored(
        2, left="identity", core="gaussian", right_period=4, at_refresh="sketch"
    )
    inner = optax.trace(0.9)
    core, old, new = (np.float32(rng.normal(size=(rows, 2))) for rows in (4, 5, 5))
    kept = sampler.subspace.init(inner, params)._replace(trace={"w": core})
    before, after = ({"right": [side]} for side in (old, new))
    moved = sampler.subspace.enter(inner, kept, before, after, jnp.int32(4), params)
    np.testing.assert_allclose(moved.trace["w"], core @ old.T @ new / 5, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, r"rank must be an integer of at least 1, got 0"),
        ({"period": 0}, r"period must be an integer of at least 1, got 0"),
        ({"momentum": 1.0}, r"momentum must be a number of at least 0 and below 1, got 1.0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.lozo(0.1, key, **arguments)
