"""Mean and variance of the averaged baseline, by enumeration: exact, without sampling."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax

RADIUS = 0.3
X = np.array([1.5, -0.8])
SIZE = len(X)


def quadratic(x, numbers=jnp):
    return numbers.sum(x**2, -1) / 2


def cubic(x, numbers=jnp):
    return numbers.sum(x**3, -1) + numbers.sum(x, -1) ** 2


def signs():
    """All directions of the law and their probabilities."""
    points = np.array(list(itertools.product([-1.0, 1.0], repeat=SIZE)))
    return points, np.full(len(points), 1 / len(points))


def gaussian():
    """Gauss-Hermite points: the means of polynomials of degree up to 7 are those of N(0, I)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    points = np.array(list(itertools.product(nodes, repeat=SIZE)))
    shares = np.array(list(itertools.product(weights / weights.sum(), repeat=SIZE)))
    return points, shares.prod(1)


def listed(vectors):
    """A sampler of these vectors (steps · K, d), step by step."""
    row = zojax.MatrixView(rows=(), columns=(0,))

    def recall(key, step, num_queries, params):
        del key, params
        part = jax.lax.dynamic_slice_in_dim(vectors, step * num_queries, num_queries)
        recipe = jax.vmap(functools.partial(zojax.LowRank.of, row))
        return (recipe(jnp.ones((num_queries, 1)), part[:, :, None]),)

    def draw(state, key, step, num_queries, params):
        return recall(key, step, num_queries, params), state

    return zojax.gaussian()._replace(draw=draw, recall=recall)


def moments(estimator, loss, law, key):
    """The mean of the last of history + 1 estimates at x, and its total variance."""
    points, probabilities = law
    steps = estimator.history + 1
    count = steps * estimator.num_queries
    picks = np.array(list(itertools.product(range(len(points)), repeat=count)))
    x = jnp.asarray(X)

    def estimate(vectors):
        tx = zojax.estimate_gradient(key, listed(vectors), estimator)
        state = tx.init(x)
        for _ in range(steps):
            updates, state = tx.update(None, state, x, value_fn=loss)
        return updates

    estimates = np.asarray(jax.jit(jax.vmap(estimate))(jnp.asarray(points[picks])))
    share = probabilities[picks].prod(1)
    mean = share @ estimates
    return mean, share @ np.sum((estimates - mean) ** 2, 1)


def smoothed(loss, law):
    """∇F, and what `variance` takes: c = E[y u], M = E[(y - F)² ‖u‖²], Var y."""
    points, share = law
    y = loss(X + RADIUS * points, np)
    rest = y - share @ y
    c = share @ (y[:, None] * points)
    return c / RADIUS, c, share @ (rest**2 * np.sum(points**2, 1)), share @ rest**2


def variance(n, c, m, spread):
    """Of the divisor n - 1, for any law with independent directions of mean 0."""
    pairs = n * (n - 1)
    return ((n - 2) * (m - c @ c) + m + spread * SIZE) / (pairs * RADIUS**2)


@pytest.mark.parametrize(("num_queries", "history"), [(2, 0), (3, 0), (4, 0), (2, 1)])
@pytest.mark.parametrize("loss", [quadratic, cubic])
def test_it_is_unbiased_and_has_the_variance_of_all_pairs(loss, num_queries, history, key, x64):
    """For the smoothed loss, with n = (N + 1) K directions that were measured at one x."""
    law = signs()
    estimator = zojax.averaged_baseline(RADIUS, num_queries, history)
    mean, spread = moments(estimator, loss, law, key)
    gradient, *rest = smoothed(loss, law)
    np.testing.assert_allclose(mean, gradient, rtol=1e-11)
    expected = variance(num_queries * (history + 1), *rest)
    np.testing.assert_allclose(spread, expected, rtol=1e-11)


@pytest.mark.parametrize("num_queries", [2, 3])
def test_variance_on_a_quadratic_with_gaussian_directions(num_queries, key, x64):
    """The closed form: Var y = r² s + r⁴ d/2, M = r² (d + 2) s + r⁴ d (d + 4)/2, c = r x."""
    mean, spread = moments(
        zojax.averaged_baseline(RADIUS, num_queries, 0), quadratic, gaussian(), key
    )
    np.testing.assert_allclose(mean, X, rtol=1e-11)
    s, square = X @ X, RADIUS**2
    m = square * (SIZE + 2) * s + square**2 * SIZE * (SIZE + 4) / 2
    expected = variance(num_queries, RADIUS * X, m, square * s + square**2 * SIZE / 2)
    np.testing.assert_allclose(spread, expected, rtol=1e-11)


def test_variance_of_forward_differences_on_a_quadratic(key, x64):
    """The baseline f(x): (d + 1) s + r² d (d + 2) (d + 4)/4 for one gaussian direction."""
    mean, spread = moments(zojax.forward(RADIUS), quadratic, gaussian(), key)
    np.testing.assert_allclose(mean, X, rtol=1e-11)
    bias = RADIUS**2 * SIZE * (SIZE + 2) * (SIZE + 4) / 4
    np.testing.assert_allclose(spread, (SIZE + 1) * X @ X + bias, rtol=1e-11)


def test_a_divisor_of_n_shrinks_the_mean_by_one_in_n(key, x64):
    mean, _ = moments(zojax.averaged_baseline(RADIUS, 3, 0, ddof=0), quadratic, signs(), key)
    np.testing.assert_allclose(mean, X * 2 / 3, rtol=1e-11)
