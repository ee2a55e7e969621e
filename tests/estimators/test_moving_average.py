"""The average of the last estimates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax.estimators import Estimate, Estimator, Probe

N, K, STEPS = 2, 3, 6
GIVEN = np.random.default_rng(6).normal(size=(STEPS, K))
BAD = GIVEN.copy()
BAD[2, 1] = np.nan


def echo():
    """Its coefficients are what it measures; it counts the steps that it was taken seriously."""

    def estimate(state, probe):
        losses = probe.along(1.0)
        return Estimate(losses, losses), state + 1

    return Estimator(K, lambda: jnp.int32(0), estimate)


def averaged(given):
    """Coefficients (steps, N + 1, K) and the inner state after every step."""
    estimator = zojax.moving_average(echo(), N)

    def step(state, block):
        estimate, state = estimator.estimate(state, Probe(base=None, along=lambda _: block))
        return state, (estimate.coefficients, state[0])

    scan = jax.jit(lambda given: jax.lax.scan(step, estimator.init(), given)[1])
    return [np.asarray(array) for array in scan(jnp.asarray(given))]


def test_it_is_the_mean_of_as_many_as_there_are(x64):
    got, _ = averaged(GIVEN)
    for t in range(STEPS):
        there = GIVEN[max(t - N, 0) : t + 1][::-1]
        np.testing.assert_allclose(got[t, : len(there)], there / len(there), rtol=1e-12)
        assert not got[t, len(there) :].any()


def test_a_step_without_an_estimate_is_left_out(x64):
    """It gives none itself, nor moves the estimator inside; its row stays empty in its place."""
    got, counts = averaged(BAD)
    assert np.isnan(got[2]).all()
    np.testing.assert_array_equal(counts, [1, 2, 2, 3, 4, 5])
    np.testing.assert_allclose(got[3], [GIVEN[3] / 2, np.zeros(K), GIVEN[1] / 2], rtol=1e-12)
    np.testing.assert_allclose(got[4], [GIVEN[4] / 2, GIVEN[3] / 2, np.zeros(K)], rtol=1e-12)
    np.testing.assert_allclose(got[5], GIVEN[:2:-1] / 3, rtol=1e-12)


def test_the_state_is_one_scalar_a_remembered_direction():
    assert zojax.moving_average(zojax.central(), N).init()[1].nbytes == (N + 1) * 4


def test_a_history_of_a_history_is_refused():
    with pytest.raises(ValueError, match=r"has a history of 5 steps already"):
        zojax.moving_average(zojax.averaged_baseline(), N)
    with pytest.raises(ValueError, match=r"history must be an integer of at least 1, got 0"):
        zojax.moving_average(zojax.central(), 0)


def test_a_restored_state_of_another_length_is_refused():
    before = zojax.moving_average(echo(), N + 1).init()
    probe = Probe(base=None, along=lambda _: jnp.ones(K))
    with pytest.raises(ValueError, match=r"shape \(4, 3\) where history and num_queries ask"):
        zojax.moving_average(echo(), N).estimate(before, probe)
