"""Projection to a box."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.reference.adaptive import nearest_in_box

LOWER, UPPER = -0.4, 0.7
RNG = np.random.default_rng(2)


def stepped(tx, x, u):
    """(the shortened updates, params after them)."""

    @jax.jit
    def step(x, u):
        updates, _ = tx.update(u, tx.init(x), x)
        return updates, optax.apply_updates(x, updates)

    return step(x, u)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_params_land_in_the_box(dtype):
    """On the bound where the step would leave it, up to two roundings; else where they would."""
    x = jnp.asarray(RNG.uniform(LOWER, UPPER, size=500), dtype)
    u = jnp.asarray(RNG.normal(size=500) * 10.0 ** RNG.integers(-6, 2, size=500), dtype)
    updates, landed = stepped(zojax.project_to_box(LOWER, UPPER), x, u)
    assert updates.dtype == dtype
    moved = np.asarray(x + u, np.float64)
    outside = (moved < LOWER) | (moved > UPPER)
    assert 50 < outside.sum() < 450
    np.testing.assert_array_equal(updates[~outside], u[~outside])
    # Numbers below 2 are rounded by at most half of eps.
    eps = float(jnp.finfo(dtype).eps)
    clipped = np.clip(moved, LOWER, UPPER)[outside]
    np.testing.assert_allclose(np.asarray(landed, np.float64)[outside], clipped, atol=2 * eps)


def test_bounds_may_differ_by_leaf_and_entry(x64):
    """And params that start outside are brought in, by a step of zero too."""
    x = {"a": jnp.array([0.0, 5.0]), "b": jnp.array(-3.0)}
    u = {"a": jnp.array([-2.0, 0.0]), "b": jnp.array(0.0)}
    lower = {"a": np.array([-1.0, 0.0]), "b": -2.0}
    _, landed = stepped(zojax.project_to_box(lower, 4.0), x, u)
    np.testing.assert_array_equal(landed["a"], [-1.0, 4.0])
    np.testing.assert_array_equal(landed["b"], -2.0)
    _, landed = stepped(zojax.project_to_box(-np.inf, lower), x, u)
    np.testing.assert_array_equal(landed["a"], [-2.0, 0.0])
    np.testing.assert_array_equal(landed["b"], -3.0)


def squared_distance(metric, y, a):
    return np.einsum("...i,ij,...j", y - a, metric, y - a)


def test_no_diagonal_metric_moves_the_nearest_point(x64):
    """It is the clipped one: no point of a fine grid over the box is nearer, in any of 20 metrics.

    The grid holds the clipped point. In a metric that mixes entries another point is nearer, so the
    comparison can fail.
    """
    a = np.array([1.3, -0.2, -0.9])
    _, point = stepped(zojax.project_to_box(LOWER, UPPER), jnp.zeros(3), jnp.asarray(a))
    point = np.asarray(point)
    axis = np.linspace(LOWER, UPPER, 23)
    grid = np.array(list(itertools.product(axis, repeat=3)))
    assert np.abs(grid - point).max(axis=1).min() < 1e-12
    for weights in 10 ** RNG.uniform(-3, 3, size=(20, 3)):
        metric = np.diag(weights)
        least = squared_distance(metric, point, a)
        assert squared_distance(metric, grid, a).min() >= least * (1 - 1e-12)
        np.testing.assert_allclose(nearest_in_box(a, LOWER, UPPER, weights), point, atol=1e-15)
    mixing = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert squared_distance(mixing, grid, a).min() < 0.9 * squared_distance(mixing, point, a)


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        (1.0, 0.5, r"lower must be nowhere above upper .* got lower=1.0, upper=0.5"),
        (float("nan"), 0.5, r"neither nan, got lower=nan, upper=0.5"),
        (0.0, {"a": np.array([1.0, -2.0]), "b": 1.0}, r"got lower=0.0, upper=-2.0"),
        ({"a": 0.0}, {"a": -1.0}, r"got lower=0.0, upper=-1.0"),
    ],
)
def test_a_box_without_inside_is_refused(lower, upper, message):
    with pytest.raises(ValueError, match=message):
        zojax.project_to_box(lower, upper)


def test_params_are_needed():
    tx = zojax.project_to_box(0.0, 1.0)
    with pytest.raises(ValueError, match=r"project_to_box needs `params`"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
