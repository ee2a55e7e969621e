"""What estimators and samplers of your own may ask for, and what links are told."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

X = {"w": jnp.array([1.0, -2.0, 0.5])}
HESSIAN = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.4], [0.1, 0.4, 0.5]], np.float32)


def quadratic(x):
    return x["w"] @ HESSIAN @ x["w"] / 2


def with_curvature(radius, num_queries=1):
    """Second differences beside the slopes: exact on quadratics."""

    def estimate(state, probe):
        base, losses = probe.base(), probe.along(radius * jnp.array([1.0, -1.0]))
        slopes = (losses[:, 0] - losses[:, 1]) / (2 * radius)
        curvatures = (losses[:, 0] + losses[:, 1] - 2 * base) / radius**2
        return zojax.Estimate(slopes / num_queries, losses, base, curvatures), state

    return zojax.Estimator(num_queries, lambda: (), estimate, has_curvature=True)


def directions_of(key, step, num_queries):
    directions, _ = zojax.gaussian().draw((), key, jnp.int32(step), num_queries, X)
    return np.asarray(jax.vmap(lambda d: zojax.materialize(d, X))(directions)["w"])


def test_an_estimator_asks_for_the_step_and_a_key_of_its_own(key):
    """The key is another in every step, and none that directions are drawn with."""

    def estimate(state, probe):
        number = jax.random.uniform(probe.key())
        losses = probe.along(0.1)
        return zojax.Estimate(jnp.array([number]), losses), (probe.step, number)

    estimator = zojax.Estimator(1, lambda: (jnp.int32(0), jnp.float32(0)), estimate)
    tx = zojax.estimate_gradient(key, zojax.gaussian(), estimator)
    state, seen = tx.init(X), []
    for step in range(3):
        _, state = tx.update(None, state, X, value_fn=quadratic)
        assert state.estimator[0] == step
        seen.append(float(state.estimator[1]))
    assert len(set(seen)) == 3
    _, again = tx.update(None, tx.init(X), X, value_fn=quadratic)
    assert float(again.estimator[1]) == seen[0]


def test_state_and_links_read_the_curvature(key):
    """An edge-of-stability guard in three lines: no step longer than 1 / curvature."""
    told = []

    def guard(updates, state, params=None, *, curvature, value, coefficients, **extra):
        told.append((value, coefficients))
        return optax.tree.scale(1 / (1 + curvature), updates), state

    link = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), guard)
    estimate = zojax.estimate_gradient(key, zojax.gaussian(), with_curvature(0.1, 2))
    tx = zojax.chain(estimate, link)
    updates, state = tx.update(None, tx.init(X), X, value_fn=quadratic)
    z = directions_of(key, 0, 2)
    curvature = np.mean(np.einsum("ki,ij,kj->k", z, HESSIAN, z))
    np.testing.assert_allclose(optax.tree.get(state, "mean_curvature"), curvature, rtol=1e-3)
    slopes = z @ HESSIAN @ np.asarray(X["w"])
    np.testing.assert_allclose(updates["w"], slopes @ z / 2 / (1 + curvature), rtol=1e-3, atol=1e-4)
    assert told[0][0] == state[0].value
    np.testing.assert_array_equal(told[0][1], state[0].coefficients)


def test_a_plateau_is_seen_behind_the_estimate(key):
    """`optax.contrib.reduce_on_plateau` asks for `value`, and gets that of this step."""
    plateau = optax.contrib.reduce_on_plateau(patience=1, factor=0.5)
    estimate = zojax.estimate_gradient(key, zojax.gaussian(), zojax.central())
    tx = zojax.chain(estimate, plateau)
    state = tx.init(X)
    for _ in range(2):
        _, state = tx.update(None, state, X, value_fn=quadratic)
    np.testing.assert_allclose(state[1].best_value, quadratic(X), rtol=1e-3)


def test_a_chain_begins_with_an_estimate():
    with pytest.raises(TypeError, match="begins with an estimate"):
        zojax.chain(optax.scale(1.0), optax.scale(1.0)).init(X)


def test_a_sampler_sees_what_was_measured(key):
    seen = []

    def observe(state, directions, estimate, params):
        seen.append(estimate)
        return state

    sampler = zojax.gaussian()._replace(observe=observe)
    tx = zojax.estimate_gradient(key, sampler, with_curvature(0.1, 2))
    _, state = tx.update(None, tx.init(X), X, value_fn=quadratic)
    (estimate,) = seen
    assert estimate.losses.shape == (2, 2)
    np.testing.assert_allclose(estimate.base, quadratic(X), rtol=1e-6)
    z = directions_of(key, 0, 2)
    expected = np.einsum("ki,ij,kj->k", z, HESSIAN, z)
    np.testing.assert_allclose(estimate.curvatures, expected, rtol=1e-3)
    np.testing.assert_array_equal(estimate.coefficients, state.coefficients)


def test_a_sampler_measures_before_it_draws(key):
    """It asks along two directions of its own, and takes the better one; all losses are counted."""
    axes = (zojax.recipes.Precomputed(jnp.eye(3)[:2]),)

    def guide(state, key, step, params, losses):
        del state, key, step, params
        return jnp.argmax(jnp.abs(losses.along(axes, 0.1) - losses.base()))

    def draw(state, key, step, num_queries, params):
        return (zojax.recipes.Precomputed(axes[0].z[state][None]),), state

    gaussian = zojax.gaussian()
    sampler = zojax.Sampler(
        lambda params: jnp.int32(0), draw, gaussian.observe, gaussian.covariance, guide=guide
    )
    tx = zojax.estimate_gradient(key, sampler, zojax.central(0.1))
    updates, state = tx.update(None, tx.init(X), X, value_fn=quadratic)
    slope = HESSIAN @ np.asarray(X["w"])
    rises = [quadratic({"w": X["w"] + 0.1 * np.eye(3, dtype=np.float32)[i]}) for i in range(2)]
    best = int(np.argmax(np.abs(np.array(rises) - quadratic(X))))
    np.testing.assert_allclose(updates["w"], np.eye(3)[best] * slope[best], atol=1e-4)
    assert state.num_evaluations == 2 + 1 + 2
