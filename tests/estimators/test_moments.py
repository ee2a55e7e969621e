"""The first two moments of an estimate on linear losses."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax

SIZE = 5
X = {"a": np.array([0.3, -1.2]), "b": np.array([0.5, 0.1, 2.0])}
SLOPES = {"a": np.array([1.5, -0.25]), "b": np.array([0.75, 2.0, -3.0])}
SIGNS = np.array(list(itertools.product([-1.0, 1.0], repeat=SIZE)), np.float32)
COORDINATES = np.sqrt(SIZE).astype(np.float32) * np.eye(SIZE, dtype=np.float32)


def linear(x):
    return sum(jnp.sum(SLOPES[name] * x[name]) for name in x)


def listed(vectors):
    """A sampler that draws just these flat vectors, in order: an enumeration."""
    row = zojax.MatrixView(rows=(), columns=(0,))

    def draw(state, key, step, num_queries, params):
        del key, step, params
        assert num_queries == len(vectors)
        ones = jnp.ones((len(vectors), 1))
        parts = np.split(vectors, [2], axis=1)
        recipe = jax.vmap(functools.partial(zojax.LowRank.of, row))
        return tuple(recipe(ones, part[:, :, None]) for part in parts), state

    return zojax.gaussian()._replace(draw=draw)


def flat(tree):
    return np.concatenate([tree["a"], tree["b"]], axis=-1)


def estimate(sampler, estimator, key, count=0):
    tx = zojax.estimate_gradient(key, sampler, estimator)
    x = jax.tree.map(jnp.asarray, X)
    state = tx.init(x)._replace(count=jnp.int32(count))
    return tx.update(None, state, x, value_fn=linear)


@pytest.mark.parametrize("vectors", [SIGNS, COORDINATES], ids=["all signs", "all coordinates"])
@pytest.mark.parametrize("make", [zojax.central, zojax.forward])
def test_the_estimate_is_unbiased(make, vectors, key, x64):
    """Its mean over every vector of the law is the gradient, whatever the radius.

    Tolerance: float64 rounding; sqrt(d) in float32 for the coordinates.
    """
    updates, _ = jax.jit(lambda: estimate(listed(vectors), make(0.3, len(vectors)), key))()
    rtol = 1e-12 if vectors is SIGNS else 1e-6
    np.testing.assert_allclose(flat(updates), flat(SLOPES), rtol=rtol, atol=rtol)


def test_second_moment_of_one_sign_query_is_d_times_the_gradients(key, x64):
    """E‖s z‖² = d ‖g‖² by enumeration: each coefficient is one query's s / 2^d."""
    _, state = jax.jit(lambda: estimate(listed(SIGNS), zojax.central(0.3, len(SIGNS)), key))()
    slopes = np.asarray(state.coefficients, np.float64) * len(SIGNS)
    moment = np.mean(slopes**2 * SIZE)
    np.testing.assert_allclose(moment, SIZE * np.sum(flat(SLOPES) ** 2), rtol=1e-6)


@pytest.mark.parametrize("num_queries", [1, 4])
def test_second_moment_of_gaussian_queries(num_queries, key):
    """E‖ĝ‖² = (d + n + 1)/n ‖g‖², within 5 standard errors of the mean of 20 000 steps."""
    count = 20_000
    estimator = zojax.central(0.5, num_queries)
    steps = jax.vmap(lambda step: estimate(zojax.gaussian(), estimator, key, step)[0])
    estimates = flat(jax.jit(steps)(jnp.arange(count)))
    squares = np.sum(np.asarray(estimates, np.float64) ** 2, axis=1)
    expected = (SIZE + num_queries + 1) / num_queries * np.sum(flat(SLOPES) ** 2)
    assert abs(squares.mean() - expected) <= 5 * squares.std() / np.sqrt(count)


@pytest.mark.parametrize("make", [zojax.central, zojax.forward])
def test_several_queries_are_the_mean_of_single_ones(make, key):
    """With the directions of the same query keys; float32 rounding of slopes of size 10."""
    count = 3

    def only(query):
        def draw(state, key, step, num_queries, params):
            directions, state = zojax.gaussian().draw(state, key, step, count, params)
            return jax.tree.map(lambda array: array[query : query + 1], directions), state

        return zojax.gaussian()._replace(draw=draw)

    @jax.jit
    def run():
        singles = [estimate(only(query), make(0.5), key)[0] for query in range(count)]
        return estimate(zojax.gaussian(), make(0.5, count), key)[0], singles

    together, singles = run()
    mean = np.mean([flat(single) for single in singles], axis=0)
    np.testing.assert_allclose(flat(together), mean, rtol=1e-5, atol=1e-5)
