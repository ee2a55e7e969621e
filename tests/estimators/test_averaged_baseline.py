"""The window of losses: how it fills, what it forgets, and what it makes of losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax.estimators import Probe

RADIUS = 0.25
N, K, STEPS = 2, 3, 6
LOSSES = np.random.default_rng(4).normal(size=(STEPS, K))


def coefficients(estimator, losses):
    """What an estimator makes of given losses, (steps, H + 1, K)."""

    def step(state, block):
        estimate, state = estimator.estimate(state, Probe(base=None, along=lambda _: block))
        return state, estimate.coefficients

    scan = jax.jit(lambda losses: jax.lax.scan(step, estimator.init(), losses)[1])
    return np.asarray(scan(jnp.asarray(losses))).reshape(len(losses), -1, losses.shape[1])


def window(losses, t):
    """Losses of step t and the N before it, newest first; nan where there is none."""
    padded = np.concatenate([np.full((N, K), np.nan), losses])
    return padded[t : t + N + 1][::-1]


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("per_block", [False, True])
def test_coefficients_are_the_equation(per_block, ddof, x64):
    """(y - b) / (r divisor) over n = K, 2 K, 3 K, 3 K, ... losses; float64 rounding."""
    got = coefficients(zojax.averaged_baseline(RADIUS, K, N, per_block, ddof), LOSSES)
    for t in range(STEPS):
        blocks = min(t + 1, N + 1)
        divisor = blocks * (K - ddof) if per_block else blocks * K - ddof
        y = window(LOSSES, t)[:blocks]
        baseline = y.mean(1, keepdims=True) if per_block else y.mean()
        expected = (y - baseline) / (RADIUS * divisor)
        np.testing.assert_allclose(got[t, :blocks], expected, rtol=1e-12)
        assert not got[t, blocks:].any()


@pytest.mark.parametrize("per_block", [False, True])
def test_a_step_older_than_the_window_has_no_influence(per_block):
    """Bitwise; younger ones have."""
    estimator = zojax.averaged_baseline(RADIUS, K, N, per_block)
    other = np.concatenate([LOSSES[:1] * 7, LOSSES[1:]])
    one, two = coefficients(estimator, LOSSES), coefficients(estimator, other)
    assert all((one[t] != two[t]).any() for t in range(N + 1))
    np.testing.assert_array_equal(one[N + 1 :], two[N + 1 :])


def test_reuse_is_a_moving_average_and_drift(x64):
    """Equation (5) of the card of zojax.zoar, with any directions."""
    size = 5
    z = np.random.default_rng(5).normal(size=(N + 1, K, size))
    c = coefficients(zojax.averaged_baseline(RADIUS, K, N, ddof=0), LOSSES)[-1]
    y = window(LOSSES, STEPS - 1)
    average = y.mean(1, keepdims=True)
    of_steps = np.einsum("tk,tkd->td", y - average, z) / (RADIUS * K)
    drift = (average - y.mean()) / RADIUS * z.mean(1)
    expected = (of_steps + drift).mean(0)
    np.testing.assert_allclose(np.einsum("tk,tkd->d", c, z), expected, rtol=1e-12, atol=1e-12)


def test_without_history_every_loss_is_measured_against_the_others(x64):
    """1/K Σ_k (y_k - mean of the others) z_k / r, number by number."""
    got = coefficients(zojax.averaged_baseline(RADIUS, K, 0), LOSSES)[:, 0]
    others = (LOSSES.sum(1, keepdims=True) - LOSSES) / (K - 1)
    np.testing.assert_allclose(got, (LOSSES - others) / (RADIUS * K), rtol=1e-12)


def test_a_baseline_for_each_step_is_the_moving_average_of_single_steps(x64):
    got = coefficients(zojax.averaged_baseline(RADIUS, K, N, per_block=True), LOSSES)
    alone = zojax.averaged_baseline(RADIUS, K, 0)
    averaged = coefficients(zojax.moving_average(alone, N), LOSSES)
    np.testing.assert_allclose(got, averaged, rtol=1e-12)


def test_forward_differences_have_the_loss_at_params_for_a_baseline(x64):
    """REINFORCE with b = f(x), number by number; a tiny loss shows that nothing else enters."""
    base = 1e-3
    probe = Probe(base=lambda: jnp.float64(base), along=lambda _: jnp.asarray(LOSSES[0]))
    estimate, _ = zojax.forward(RADIUS, K).estimate((), probe)
    np.testing.assert_allclose(estimate.coefficients, (LOSSES[0] - base) / RADIUS / K, rtol=1e-12)


def test_ddof_0_shrinks_by_one_loss_in_n(x64):
    zero, one = (
        coefficients(zojax.averaged_baseline(RADIUS, K, N, ddof=ddof), LOSSES) for ddof in (0, 1)
    )
    n = K * np.minimum(np.arange(STEPS) + 1, N + 1)[:, None, None]
    np.testing.assert_allclose(zero, one * (n - 1) / n, rtol=1e-12)


@pytest.mark.parametrize("per_block", [False, True])
def test_a_constant_added_to_all_losses_changes_nothing(per_block, x64):
    """Cancellation: losses of size 1e3 carry an error of 1e-13."""
    estimator = zojax.averaged_baseline(RADIUS, K, N, per_block)
    one, two = coefficients(estimator, LOSSES), coefficients(estimator, LOSSES + 1e3)
    np.testing.assert_allclose(one, two, atol=1e-11)


def test_a_constant_added_from_some_step_on_is_noise_for_a_window(x64):
    """With one baseline for all, for N steps; with one for each step not at all."""
    jump = np.where(np.arange(STEPS)[:, None] >= 3, 1e3, 0.0)
    runs = {}
    for per_block in (False, True):
        estimator = zojax.averaged_baseline(RADIUS, K, N, per_block)
        runs[per_block] = coefficients(estimator, LOSSES), coefficients(estimator, LOSSES + jump)
    np.testing.assert_allclose(*runs[True], atol=1e-11)
    moved = np.abs(runs[False][0] - runs[False][1]).max((1, 2)) > 1
    np.testing.assert_array_equal(moved, [False, False, False, True, True, False])


def test_with_one_query_the_first_step_is_none():
    """A single loss is its own average; from the second step on there is an estimate."""
    got = coefficients(zojax.averaged_baseline(RADIUS, 1, N), LOSSES[:, :1])
    assert not got[0].any()
    assert got[1:, 0].all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("per_block", [False, True])
def test_a_loss_that_is_not_finite_is_left_out_as_long_as_it_is_remembered(per_block, bad, x64):
    """As if the query had not been made: others keep their rows and are n fewer."""
    losses = LOSSES.copy()
    losses[1, 2] = bad
    got = coefficients(zojax.averaged_baseline(RADIUS, K, N, per_block), losses)
    clean = coefficients(zojax.averaged_baseline(RADIUS, K, N, per_block), LOSSES)
    for t in range(1, N + 2):
        y = np.where(np.isfinite(window(losses, t)), window(losses, t), np.nan)
        axis = 1 if per_block else None
        counts = np.sum(np.isfinite(y), axis)
        there = [row for row in range(N + 1) if np.isfinite(y[row]).any()]
        divisor = np.sum(np.maximum(counts - 1, 0))
        baseline = np.nanmean(y[there], axis, keepdims=per_block)
        expected = np.nan_to_num((y[there] - baseline) / (RADIUS * divisor))
        np.testing.assert_allclose(got[t, there], expected, rtol=1e-12, atol=1e-15)
        assert got[t, t - 1, 2] == 0
        assert (got[t] != clean[t]).any()
    np.testing.assert_array_equal(got[N + 2 :], clean[N + 2 :])


@pytest.mark.parametrize("per_block", [False, True])
def test_a_step_without_any_finite_loss_gives_no_estimate_and_keeps_the_order(per_block, x64):
    """Nan tells the link not to take it; later its row of the window is empty."""
    losses = LOSSES.copy()
    losses[2] = np.nan
    got = coefficients(zojax.averaged_baseline(RADIUS, K, N, per_block), losses)
    assert np.isnan(got[2]).all()
    for t, empty in [(3, 1), (4, 2)]:
        there = [row for row in range(N + 1) if row != empty]
        y = window(losses, t)[there]
        baseline = y.mean(1, keepdims=True) if per_block else y.mean()
        divisor = 2 * (K - 1) if per_block else 2 * K - 1
        np.testing.assert_allclose(got[t, there], (y - baseline) / (RADIUS * divisor), rtol=1e-12)
        assert not got[t, empty].any()
    np.testing.assert_array_equal(
        got[5], coefficients(zojax.averaged_baseline(RADIUS, K, N, per_block), LOSSES)[5]
    )


def test_the_state_is_one_scalar_a_remembered_loss():
    assert zojax.averaged_baseline(RADIUS, K, N).init().nbytes == (N + 1) * K * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, r"radius must be a finite number above 0, got 0.0"),
        ({"num_queries": 0}, r"num_queries must be an integer of at least 1, got 0"),
        ({"history": -1}, r"history must be an integer of at least 0, got -1"),
        ({"history": 1.5}, r"history must be an integer of at least 0, got 1.5"),
        ({"ddof": 2}, r"ddof must be 0 or 1, got 2"),
        ({"ddof": jnp.float32(1)}, r"ddof must be 0 or 1, got .*static_args"),
        ({"num_queries": 1, "history": 0}, r"num_queries must be at least 2 with history=0"),
        ({"num_queries": 1, "per_block": True}, r"at least 2 with history=5, per_block=True"),
    ],
)
def test_arguments_that_leave_no_baseline_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        zojax.averaged_baseline(**arguments)


@pytest.mark.parametrize("stored", [(N + 2, K), (N + 1, K - 1)])
def test_a_restored_state_of_other_lengths_is_refused(stored):
    before = zojax.averaged_baseline(RADIUS, stored[1], stored[0] - 1).init()
    now = zojax.averaged_baseline(RADIUS, K, N)
    with pytest.raises(
        ValueError, match=r"shape \(., .\) where history and num_queries ask for \(3, 3\)"
    ):
        now.estimate(before, Probe(base=None, along=lambda _: jnp.ones(K)))
