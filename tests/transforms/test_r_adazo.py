"""The second moment of R-AdaZO, and how it differs from the one of ZO-AdaMM."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

B1, B2 = 0.9, 0.99


def fed(tx, gradients):
    """Updates and states of every step; gradients have shape (steps, entries)."""

    @jax.jit
    def run(gradients):
        def step(state, gradient):
            updates, state = tx.update(gradient, state)
            return state, (updates, state)

        return jax.lax.scan(step, tx.init(gradients[0]), gradients)[1]

    return run(gradients)


def random_gradients(steps=6, size=5):
    return jnp.asarray(np.random.default_rng(0).normal(size=(steps, size)))


# |m|/√v for a constant gradient at these t, from the recursions (methods_b 4.3 iii).
STEPS = np.array([1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300])
STARTS = {
    "r_adazo": (
        zojax.scale_by_r_adazo(B1, B2, eps=0.0),
        [10, 8.859, 7.857, 6.464, 4.640, 3.126, 2.440, 1.810, 1.316, 1.088, 1.030],
    ),
    "zo_adamm": (
        zojax.scale_by_zo_adamm(B1, B2, eps=0.0, amsgrad=False),
        [1, 1.347, 1.572, 1.850, 2.106, 2.059, 1.877, 1.583, 1.256, 1.075, 1.025],
    ),
}


@pytest.mark.parametrize("rule", STARTS)
def test_a_constant_gradient_gives_the_known_sizes(rule, x64):
    """Of either sign and any size; to the three decimals in which they are known."""
    tx, expected = STARTS[rule]
    gradients = jnp.tile(jnp.array([1.0, -0.02, 300.0]), (300, 1))
    updates, _ = fed(tx, gradients)
    sizes = np.array([1, -1, 1]) * np.asarray(updates)[STEPS - 1]
    np.testing.assert_allclose(sizes, np.array(expected)[:, None] * np.ones(3), atol=5e-4)


@pytest.mark.parametrize("b1", [0.0, 0.5, 0.9])
def test_the_first_step_is_the_sign_over_the_root_of_one_minus_b2(b1, x64):
    updates, _ = fed(zojax.scale_by_r_adazo(b1, B2, eps=0.0), random_gradients(1))
    expected = np.sign(random_gradients(1)) / np.sqrt(1 - B2)
    np.testing.assert_allclose(updates, expected, rtol=1e-12)


def by_hand(gradients, eps, eps_root, *, swapped=False):
    """Equations (1) to (3); swapped: v before m, which is another method."""
    m = v = np.zeros(gradients.shape[1])
    steps = []
    for g in np.asarray(gradients):
        before = m
        m = B1 * m + (1 - B1) * g
        v = B2 * v + (1 - B2) * (before if swapped else m) ** 2
        steps.append(m / (np.sqrt(v + eps_root) + eps))
    return np.array(steps)


@pytest.mark.parametrize(("eps", "eps_root"), [(3e-2, 0.0), (0.0, 1e-3), (2e-2, 1e-3)])
def test_both_forms_of_eps_and_the_order_of_the_moments(eps, eps_root, x64):
    """V is built from the m of the same step: with that of the step before it is something else."""
    gradients = random_gradients()
    updates, _ = fed(zojax.scale_by_r_adazo(B1, B2, eps, eps_root), gradients)
    np.testing.assert_allclose(updates, by_hand(gradients, eps, eps_root), rtol=1e-12)
    swapped = by_hand(gradients, eps, eps_root, swapped=True)
    assert np.abs(updates / swapped - 1).max() > 1e-2


def test_moments_by_enumeration_of_the_noise(x64):
    """E m_t, Var m_t and E v_t over all 2⁷ sequences of estimates g ± σ, one sequence an entry."""
    g, sigma, steps = 0.3, 2.0, 7
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=steps))).T
    _, state = fed(zojax.scale_by_r_adazo(B1, B2), jnp.asarray(g + sigma * signs))
    t = np.arange(1, steps + 1)
    mean = (1 - B1**t) * g
    variance = sigma**2 * (1 - B1) * (1 - B1 ** (2 * t)) / (1 + B1)
    np.testing.assert_allclose(state.mu.mean(axis=1), mean, rtol=1e-12)
    np.testing.assert_allclose(state.mu.var(axis=1), variance, rtol=1e-12)
    weights = (1 - B2) * np.tril(B2 ** (t[:, None] - t[None, :]))
    np.testing.assert_allclose(state.nu.mean(axis=1), weights @ (mean**2 + variance), rtol=1e-12)


def test_the_second_moment_is_nearer_to_that_without_noise(x64):
    """E v_400 for g = 0.3, σ = 2: 0.2947, where ZO-AdaMM has 4.02 and without noise it is 0.0881.

    Exactly, as v is linear in products of estimates, and noises of different steps have none on
    average: entry 0 is fed the constant g, entry s an impulse of σ at step s; the sum of their v is
    E v. Without entry 0, that is where noise dominates, ZO-AdaMM's is 19 times as large.
    """
    g, sigma, steps = 0.3, 2.0, 400
    lanes = jnp.concatenate([jnp.full((steps, 1), g), sigma * jnp.eye(steps)], axis=1)
    refined = fed(zojax.scale_by_r_adazo(B1, B2), lanes)[1].nu[-1]
    plain = fed(zojax.scale_by_zo_adamm(B1, B2, amsgrad=False), lanes)[1].nu[-1]
    np.testing.assert_allclose(refined.sum(), 0.2947, atol=5e-5)
    np.testing.assert_allclose(refined[0], 0.0881, atol=5e-5)
    np.testing.assert_allclose(plain.sum(), (1 - B2**steps) * (g**2 + sigma**2), rtol=1e-12)
    np.testing.assert_allclose(plain.sum(), 4.02, atol=5e-3)
    ratio = plain[1:].sum() / refined[1:].sum()
    # 19 in the limit; after 400 steps the refined moment lacks what m lacked at first.
    np.testing.assert_allclose(ratio, (1 + B1) / (1 - B1), rtol=2e-2)


def test_without_a_first_moment_it_is_rmsprop(x64):
    """And ZO-AdaMM without a maximum, given the same eps."""
    gradients = random_gradients()
    refined, _ = fed(zojax.scale_by_r_adazo(0.0, B2, 0.0, 1e-3), gradients)
    rms, _ = fed(optax.scale_by_rms(B2, 1e-3, eps_in_sqrt=True), gradients)
    np.testing.assert_allclose(refined, rms, rtol=1e-12)
    refined, _ = fed(zojax.scale_by_r_adazo(0.0, B2, 1e-3), gradients)
    plain, _ = fed(zojax.scale_by_zo_adamm(0.0, B2, 1e-3, amsgrad=False), gradients)
    np.testing.assert_allclose(refined, plain, rtol=1e-12)


def test_without_memory_it_is_the_sign(x64):
    """Of m with b2 = 0; of the estimate with b1 = 0 too, as are RMSProp and ZO-AdaMM."""
    gradients = random_gradients().at[2].set(0.0)
    updates, state = fed(zojax.scale_by_r_adazo(B1, 0.0, 0.0), gradients)
    np.testing.assert_allclose(updates, np.sign(state.mu), rtol=1e-12)
    for tx in (
        zojax.scale_by_r_adazo(0.0, 0.0, 0.0),
        zojax.scale_by_zo_adamm(0.0, 0.0, 0.0, amsgrad=False),
    ):
        np.testing.assert_allclose(fed(tx, gradients)[0], np.sign(gradients), rtol=1e-12)
    rms, _ = fed(optax.scale_by_rms(0.0, 0.0), gradients[:2])
    np.testing.assert_allclose(rms, np.sign(gradients[:2]), rtol=1e-12)


def test_nothing_over_nothing_is_nothing():
    """Without any eps, entries whose estimates were always zero do not move."""
    gradients = jnp.array([[0.0, 1.0], [0.0, 0.0]])
    updates, _ = fed(zojax.scale_by_r_adazo(B1, B2, 0.0), gradients)
    np.testing.assert_array_equal(updates[:, 0], 0.0)
    assert np.isfinite(updates).all()
    assert (updates[:, 1] > 0).all()


def test_warm_up_replaces_the_denominator_and_nothing_else(x64):
    """While t < 4 the update is m; from t = 4 on it is what it would be without."""
    gradients = random_gradients()
    plain, states = fed(zojax.scale_by_r_adazo(B1, B2), gradients)
    warm, warm_states = fed(zojax.scale_by_r_adazo(B1, B2, warmup_steps=4), gradients)
    np.testing.assert_array_equal(warm[:3], states.mu[:3])
    np.testing.assert_array_equal(warm[3:], plain[3:])
    assert (warm[:3] != plain[:3]).all()
    chex.assert_trees_all_equal(warm_states, states)


@pytest.mark.parametrize(
    "tx", [zojax.scale_by_r_adazo(), zojax.scale_by_zo_adamm()], ids=["r_adazo", "zo_adamm"]
)
def test_moments_of_narrow_params_are_float32(tx):
    """Updates come back in the leaf's dtype. Tolerances: a rounding of float32, one of bfloat16."""
    gradients = random_gradients().astype(jnp.bfloat16)
    narrow, state = fed(tx, gradients)
    expected, wide_state = fed(tx, gradients.astype(jnp.float32))
    assert narrow.dtype == jnp.bfloat16
    assert state.mu.dtype == state.nu.dtype == jnp.float32
    chex.assert_trees_all_close(state, wide_state, rtol=1e-6)
    np.testing.assert_allclose(narrow.astype(jnp.float32), expected, rtol=2**-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"b1": 1.0}, r"b1 must be a number of at least 0 and below 1, got 1.0"),
        ({"b2": -0.1}, r"b2 must be a number of at least 0 and below 1, got -0.1"),
        ({"b2": float("nan")}, r"b2 must be .* got nan"),
        ({"eps": -1e-8}, r"eps must be a finite number of at least 0, got -1e-08"),
        ({"eps_root": float("inf")}, r"eps_root must be a finite number of at least 0, got inf"),
        ({"warmup_steps": -1}, r"warmup_steps must be .* at least 0, got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        zojax.scale_by_r_adazo(**arguments)
