"""The two methods that are called ZO-AdaMM."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

B1, B2 = 0.9, 0.99
GRADIENTS = np.random.default_rng(1).normal(size=(6, 5)) * np.array([3, 1, 1, 1, 1, 0.2])[:, None]


def fed(tx, gradients):
    """Updates and states of every step; gradients have shape (steps, entries)."""

    @jax.jit
    def run(gradients):
        def step(state, gradient):
            updates, state = tx.update(gradient, state)
            return state, (updates, state)

        return jax.lax.scan(step, tx.init(gradients[0]), gradients)[1]

    return run(jnp.asarray(gradients))


@pytest.mark.parametrize("amsgrad", [True, False])
def test_it_lacks_the_bias_correction_of_optax_and_nothing_else(amsgrad, x64):
    """m/(1 - b1^t) over √(v/(1 - b2^t)) is Adam's update.

    AMSGrad of optax takes the maximum of corrected moments: the same where both grow throughout.
    """
    gradients = np.cumsum(np.abs(GRADIENTS), axis=0) if amsgrad else GRADIENTS
    tx = zojax.scale_by_zo_adamm(B1, B2, 0.0, amsgrad, initial_second_moment=0.0)
    other = optax.scale_by_amsgrad if amsgrad else optax.scale_by_adam
    updates, _ = fed(tx, gradients)
    expected, _ = fed(other(B1, B2, eps=0.0), gradients)
    t = np.arange(1, len(gradients) + 1)[:, None]
    corrected = updates * np.sqrt(1 - B2**t) / (1 - B1**t)
    np.testing.assert_allclose(corrected, expected, rtol=1e-12)
    assert np.abs(updates / expected - 1).max() > 0.5


def test_the_second_moment_of_the_published_form_never_falls(x64):
    """v̂ is the largest v so far, while v itself falls; the step is taken with v̂."""
    updates, state = fed(zojax.scale_by_zo_adamm(B1, 0.5, 0.0), GRADIENTS)
    largest = np.maximum.accumulate(np.concatenate([np.full((1, 5), 1e-7), state.nu]))[1:]
    np.testing.assert_array_equal(state.nu_max, largest)
    assert (np.diff(state.nu, axis=0) < 0).any()
    np.testing.assert_allclose(updates, state.mu / np.sqrt(largest), rtol=1e-12)


def test_the_first_second_moment_keeps_a_zero_estimate_from_dividing_by_zero():
    """With eps = 0, as published: the update is 0, and then that of v̂ = 1e-7 at least.

    An estimate of 1e-5 has (1 - b2) g² = 1e-12, so there v̂ is still 1e-7, in float32.
    """
    gradients = np.array([[0.0], [1e-5]], np.float32)
    updates, state = fed(zojax.scale_by_zo_adamm(B1, B2, 0.0), gradients)
    np.testing.assert_allclose(state.nu_max, 1e-7, rtol=1e-6)
    np.testing.assert_allclose(updates, [[0.0], [1e-6 / np.sqrt(1e-7)]], rtol=1e-5)
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        np.float32(0) / np.sqrt(np.float32(0))


@pytest.mark.parametrize("start", [None, 0.0, 0.25])
@pytest.mark.parametrize("amsgrad", [True, False])
def test_where_the_second_moment_starts(amsgrad, start, x64):
    """1e-7 with amsgrad and 0 without, or as told; where it is 0, nothing over nothing is 0."""
    expected = (1e-7 if amsgrad else 0.0) if start is None else start
    tx = zojax.scale_by_zo_adamm(B1, B2, 0.0, amsgrad, initial_second_moment=start)
    state = tx.init(jnp.zeros(3))
    np.testing.assert_array_equal(state.nu, np.full(3, expected))
    assert len(jax.tree.leaves(state)) == (3 if amsgrad else 2)
    updates, _ = fed(tx, np.array([[0.0, 1.0, -1.0]]))
    v = B2 * expected + (1 - B2)
    v = max(v, expected) if amsgrad else v
    np.testing.assert_allclose(updates[0], (1 - B1) * np.array([0, 1, -1]) / np.sqrt(v), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"b1": 1.5}, r"b1 must be a number of at least 0 and below 1, got 1.5"),
        ({"b2": 1}, r"b2 must be a number of at least 0 and below 1, got 1"),
        ({"eps": -1.0}, r"eps must be a finite number of at least 0, got -1.0"),
        ({"initial_second_moment": -1e-7}, r"initial_second_moment must be .* got -1e-07"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        zojax.scale_by_zo_adamm(**arguments)
