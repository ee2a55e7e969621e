"""One estimate of several calls: that of the whole batch, and nothing in between."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

K = 4
ADAM = (optax.scale_by_adam(),)
PARAMS = {"b": jnp.array([0.5, -1.0]), "w": jnp.array([[1.0, 2.0], [3.0, -4.0], [0.5, 0.1]])}
BATCH = np.random.default_rng(0).normal(size=(3, 8 * K, 3)).astype(np.float32)
ESTIMATORS = {
    "central": zojax.central(0.1, 2),
    "forward": zojax.forward(0.1, 3),
    "leave_one_out": zojax.leave_one_out(0.1, 3),
    "averaged_baseline": zojax.averaged_baseline(0.1, 3, history=2),
    "moving_average": zojax.moving_average(zojax.central(0.1), 2),
}


def loss(params, x):
    return jnp.mean(jnp.sum(jnp.tanh(x @ params["w"] + params["b"]) ** 2, -1))


def trajectory(tx, batches):
    """Params after each call."""

    @jax.jit
    def step(params, state, x):
        updates, state = tx.update(None, state, params, value_fn=loss, x=x)
        return optax.apply_updates(params, updates), state

    params, state, seen = PARAMS, tx.init(PARAMS), []
    for x in batches:
        params, state = step(params, state, x)
        seen.append((params, state))
    return seen


def chained(key, estimator, accumulate, links=ADAM):
    estimate = zojax.estimate_gradient(key, zojax.gaussian(), estimator, accumulate=accumulate)
    return zojax.chain(estimate, *links, optax.scale_by_learning_rate(0.05))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_parts_of_a_batch_make_the_step_of_the_whole(name, key):
    """Coefficients are linear in the losses, and the loss of a batch is the mean of its parts'."""
    parts = BATCH.reshape(3 * K, 8, 3)
    whole = trajectory(chained(key, ESTIMATORS[name], 1), BATCH)
    found = trajectory(chained(key, ESTIMATORS[name], K), parts)
    for step, (params, state) in enumerate(whole):
        accumulated, its_state = found[K * step + K - 1]
        # Adam divides by the size of the estimate, whose rounding (1e-7 / radius) it keeps.
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), accumulated, params)
        for field in ("count", "num_nonfinite"):
            assert getattr(its_state[0], field) == getattr(state[0], field)
        np.testing.assert_allclose(its_state[0].value, state[0].value, rtol=1e-6)
        np.testing.assert_allclose(
            its_state[0].coefficients, state[0].coefficients, rtol=1e-3, atol=1e-5
        )
        assert its_state[0].num_evaluations == K * state[0].num_evaluations


def test_calls_in_between_change_nothing_but_what_they_measured(key):
    parts = BATCH[0].reshape(K, 8, 3)
    tx = chained(key, zojax.central(0.1), K)
    first = tx.init(PARAMS)
    seen = trajectory(tx, parts)
    for place, (params, state) in enumerate(seen[:-1]):
        jax.tree.map(np.testing.assert_array_equal, params, PARAMS)
        jax.tree.map(np.testing.assert_array_equal, state[1:], first[1:])
        assert state[0].accumulated.calls == place + 1
        assert state[0].count == 0
    assert seen[-1][1][0].accumulated.calls == 0


def test_no_tree_of_the_size_of_params_waits(key):
    tx = zojax.estimate_gradient(key, zojax.gaussian(), zojax.central(), accumulate=K)
    waiting = jax.eval_shape(tx.init, PARAMS).accumulated
    assert sum(leaf.size for leaf in jax.tree.leaves(waiting)) <= 4


def test_a_call_that_is_not_finite_makes_the_step_zero_and_is_counted(key):
    parts = BATCH[0].reshape(K, 8, 3).copy()
    parts[1, 0, 0] = np.nan
    params, state = trajectory(chained(key, zojax.central(0.1), K, links=()), parts)[-1]
    jax.tree.map(np.testing.assert_array_equal, params, PARAMS)
    assert state[0].num_nonfinite == 1


def test_a_basis_and_its_links_wait_too(key):
    """Directions with a kept basis and momentum in its coordinates."""
    sampler = zojax.factored(1, left="haar", core="gaussian", right="identity", left_period=2)

    def method(accumulate):
        return zojax.estimate_gradient(
            key,
            sampler,
            zojax.central(0.1),
            inner=optax.chain(optax.trace(0.9), optax.scale(-0.05)),
            accumulate=accumulate,
        )

    whole = trajectory(method(1), BATCH)[-1][0]
    found = trajectory(method(K), BATCH.reshape(3 * K, 8, 3))[-1][0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), found, whole)


def test_a_sampler_that_measures_first_needs_whole_batches(key):
    sampler = zojax.gaussian()._replace(guide=lambda state, key, step, params, losses: state)
    with pytest.raises(ValueError, match="accumulate = 2 does not go with a sampler that asks"):
        zojax.estimate_gradient(key, sampler, zojax.central(), accumulate=2)


@pytest.mark.parametrize("accumulate", [0, -1, 1.5, True])
def test_the_number_of_calls_is_a_whole_number(accumulate, key):
    with pytest.raises(ValueError, match="accumulate must be an integer of at least 1"):
        zojax.estimate_gradient(key, zojax.gaussian(), zojax.central(), accumulate=accumulate)
