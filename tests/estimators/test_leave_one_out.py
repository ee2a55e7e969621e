"""The baseline of the others: no bias, no offset, and the variance that is stated."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax.estimators import Probe

G = np.array([0.7, -1.9])
RADIUS = 0.3
# Three-point Gauss-Hermite quadrature: exact means, over N(0, 1), of polynomials up to degree 5.
NODES, WEIGHTS = np.array([-np.sqrt(3), 0.0, np.sqrt(3)]), np.array([1, 4, 1]) / 6


def coefficients(losses, num_queries):
    """What the estimator makes of these losses, which is all that it may ask for."""
    asked = []

    def along(radius):
        asked.append(radius)
        return jnp.asarray(losses)

    def base():
        raise AssertionError("no loss at params is needed")

    estimator = zojax.leave_one_out(RADIUS, num_queries)
    estimate, state = estimator.estimate(estimator.init(), Probe(base, along))
    assert asked == [RADIUS]  # one point along each of the K directions
    assert state == ()
    np.testing.assert_array_equal(estimate.values, losses)
    return np.asarray(estimate.coefficients)


def test_the_mean_of_the_others_is_the_baseline(x64):
    losses = np.array([3.0, 1.0, 8.0, -2.0])
    expected = [(f - np.delete(losses, k).mean()) / (4 * RADIUS) for k, f in enumerate(losses)]
    np.testing.assert_allclose(coefficients(losses, 4), expected, rtol=1e-14)


def test_coefficients_sum_to_zero_and_ignore_an_offset(x64):
    """To the rounding of the losses."""
    losses = np.array([0.3, -0.1, 0.25])
    c = coefficients(losses, 3)
    assert abs(c.sum()) < 1e-15
    np.testing.assert_allclose(coefficients(losses + 1000, 3), c, atol=1e-12)


def test_two_queries_are_the_difference_along_the_difference(x64):
    slope = (0.7 - 0.2) / (2 * RADIUS)
    np.testing.assert_allclose(coefficients(np.array([0.7, 0.2]), 2), [slope, -slope], rtol=1e-14)


@pytest.mark.parametrize("num_queries", [2, 3])
def test_mean_and_variance_on_a_linear_loss(num_queries, x64):
    """E ĝ = g and E‖ĝ - g‖² = (d + 1)/(K - 1) ‖g‖², exactly, at every node of the quadrature.

    One-sided estimates without a baseline have those of `forward`, and an offset on top.
    """
    d, offset = 2, 5.0
    nodes = np.array(list(itertools.product(NODES, repeat=d * num_queries)))
    weights = np.array([np.prod(w) for w in itertools.product(WEIGHTS, repeat=d * num_queries)])
    z = nodes.reshape(-1, num_queries, d)
    losses = offset + RADIUS * z @ G
    # The estimator is linear in the losses: its matrix is what it makes of the unit vectors.
    matrix = np.stack([coefficients(unit, num_queries) for unit in np.eye(num_queries)], 1)
    estimates = np.einsum("sj,kj,skd->sd", losses, matrix, z)
    np.testing.assert_allclose(weights @ estimates, G, rtol=1e-12)
    variance = weights @ np.sum((estimates - G) ** 2, -1)
    np.testing.assert_allclose(variance, (d + 1) / (num_queries - 1) * G @ G, rtol=1e-12)
    bare = np.einsum("sk,skd->sd", losses / (RADIUS * num_queries), z)
    without = weights @ np.sum((bare - G) ** 2, -1)
    offsets = d * (offset / RADIUS) ** 2
    np.testing.assert_allclose(without, ((d + 1) * G @ G + offsets) / num_queries, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, r"radius must be a finite number above 0, got 0.0"),
        ({"num_queries": 1}, r"num_queries must be an integer of at least 2, got 1"),
        ({"num_queries": 2.0}, r"num_queries .* got 2.0; .*inject_hyperparams.*static_args"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        zojax.leave_one_out(**arguments)
