"""Recorded losses in the place of a loss."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax

X = {"b": jnp.zeros(3), "w": jnp.full((2, 3), -2.0)}


def loss(x, target=1.0):
    return sum(jnp.sum((leaf - target) ** 2) for leaf in jax.tree.leaves(x))


def random_radius(num_queries):
    """Asks for its key, for the base, and for losses at radii of each query's own."""

    def estimate(state, probe):
        radii = jax.random.uniform(probe.key(), (num_queries, 3), minval=0.1)
        base, losses = probe.base(), probe.along(radii)
        coefficients = jnp.mean((losses - base) / radii, axis=1) + 0 * probe.step
        return zojax.Estimate(coefficients, losses, base), state

    return zojax.Estimator(num_queries, lambda: (), estimate)


ESTIMATORS = {
    "central": (zojax.central(0.1, 2), 4),
    "forward": (zojax.forward(0.1, 3), 4),
    "leave_one_out": (zojax.leave_one_out(0.1, 3), 3),
    "averaged_baseline": (zojax.averaged_baseline(0.1, 1, history=2), 1),
    "moving_average": (zojax.moving_average(zojax.central(0.1), 2), 2),
    "random_radius": (random_radius(2), 7),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_step_is_made_again_without_the_loss(name, key):
    """With the state after it; `last_losses` are all that it asked for."""
    estimator, count = ESTIMATORS[name]
    tx = zojax.estimate_gradient(key, zojax.gaussian(), estimator)
    state = tx.init(X)
    assert (state.last_losses.shape, state.last_losses.dtype) == ((count,), jnp.float32)
    update = jax.jit(lambda state: tx.update(None, state, X, value_fn=loss))
    again = jax.jit(
        lambda state, losses: tx.update(None, state, X, value_fn=zojax.Recorded(losses))
    )
    for _ in range(3):
        updates, after = update(state)
        assert (after.last_losses != 0).all()
        jax.tree.map(
            np.testing.assert_array_equal,
            *(
                (updates, after._replace(key=0))
                for updates, after in ((updates, after), again(state, after.last_losses))
            ),
        )
        state = after


def test_the_losses_are_those_of_the_points(key):
    """Along z and -z, then along the next direction; the base comes last."""
    sampler = zojax.gaussian()
    tx = zojax.estimate_gradient(key, sampler, zojax.central(0.1, 2))
    _, state = tx.update(None, tx.init(X), X, value_fn=loss)
    directions, _ = sampler.draw((), key, jnp.int32(0), 2, X)
    radii = 0.1 * jnp.array([1.0, -1.0])
    expected = zojax.evaluate(loss, X, directions, radii).reshape(-1)
    np.testing.assert_allclose(state.last_losses, expected, rtol=1e-6)

    tx = zojax.estimate_gradient(key, sampler, zojax.forward(0.1, 2))
    _, state = tx.update(None, tx.init(X), X, value_fn=loss)
    np.testing.assert_allclose(state.last_losses[-1], loss(X), rtol=1e-6)


def test_losses_of_another_step_are_refused(key):
    tx = zojax.estimate_gradient(key, zojax.gaussian(), zojax.central(0.1, 2))
    with pytest.raises(ValueError, match=r"shape \(3,\), but a step of this estimator has \(4,\)"):
        tx.update(None, tx.init(X), X, value_fn=zojax.Recorded(jnp.ones(3)))


def guided(sampler):
    """Looks along three directions of its own in every second step, and turns by what it found."""

    def guide(state, key, step, params, losses):
        directions = sampler.recall(key, step + 100, 3, params)
        found = losses.along(directions, 0.1, when=step % 2 == 0) - losses.base()
        return jnp.where(step % 2 == 0, jnp.sum(found), state)

    def draw(state, key, step, num_queries, params):
        directions, _ = sampler.draw((), key, step, num_queries, params)
        scaled = (dataclasses.replace(one, scale=state * one.scale) for one in directions)
        return tuple(scaled), state

    init = lambda params: jnp.float32(0)  # noqa: E731
    return sampler._replace(init=init, draw=draw, guide=guide, recall=None)


def test_losses_that_guide_a_step_are_among_the_recorded(key):
    """Three or none of them, and the base: zeros stand where none was evaluated, or counted."""
    tx = zojax.estimate_gradient(key, guided(zojax.gaussian()), zojax.central(0.1, 2))
    state = tx.init(X)
    assert state.last_losses.shape == (3 + 1 + 4,)
    update = jax.jit(lambda state: tx.update(None, state, X, value_fn=loss))
    again = jax.jit(
        lambda state, losses: tx.update(None, state, X, value_fn=zojax.Recorded(losses))
    )
    counts = []
    for _ in range(4):
        updates, after = update(state)
        replayed, replayed_state = again(state, after.last_losses)
        chex.assert_trees_all_equal(updates, replayed)
        chex.assert_trees_all_equal(after._replace(key=0), replayed_state._replace(key=0))
        assert np.any(updates["w"])
        counts.append(int(after.num_evaluations - state.num_evaluations))
        assert (after.last_losses[:3] != 0).all() == (len(counts) % 2 == 1)
        state = after
    assert counts == [8, 5, 8, 5]


def test_a_link_that_evaluates_the_loss_itself_is_not_in_the_log():
    with pytest.raises(TypeError, match="a link behind the estimate evaluates value_fn itself"):
        zojax.Recorded(jnp.ones(2))(X)
