"""Mean and variance of one query's estimate on ½‖x‖², exactly, by rules that integrate polynomials.

With s = ‖x‖²; the estimates are polynomials in z, so nodes and weights of a cubature take the place
of sampling. For every unbiased form the mean is x.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax.estimators import Estimate

X = np.array([0.3, -1.2, 0.5])
SIZE = 3
S = X @ X
RADIUS = 0.4


def gaussian():
    """Four Gauss-Hermite nodes an axis: exact up to degree 7 in each entry."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    points = np.array(list(itertools.product(nodes, repeat=SIZE)))
    shares = np.array([np.prod(w) for w in itertools.product(weights, repeat=SIZE)])
    return points, shares / shares.sum()


def signs():
    points = np.array(list(itertools.product([-1.0, 1.0], repeat=SIZE)))
    return points, np.full(len(points), 1 / len(points))


def sphere():
    """± √d e_i: exact up to degree 3 on the sphere, where ‖z‖² = d."""
    points = np.sqrt(SIZE) * np.concatenate([np.eye(SIZE), -np.eye(SIZE)])
    return points, np.full(len(points), 1 / len(points))


def one_point(radius, num_queries):
    """(1/r) f(x + r z) z, which no method here uses: its variance grows like f²/r²."""

    def estimate(state, probe):
        losses = probe.along(radius)
        return Estimate(losses / radius / num_queries, losses), state

    return zojax.forward(radius, num_queries)._replace(estimate=estimate)


def moments(make, law, key, offset=0.0):
    """(the mean of one query's estimate, the trace of its covariance)."""
    points, shares = law()
    row = zojax.MatrixView(rows=(), columns=(0,))
    nodes = jax.vmap(lambda left, right: zojax.LowRank.of(row, left, right))(
        jnp.ones((len(points), 1)), jnp.asarray(points)[:, :, None]
    )
    sampler = zojax.gaussian()._replace(draw=lambda state, *_: ((nodes,), state))
    tx = zojax.estimate_gradient(key, sampler, make(RADIUS, len(points)))
    x = jnp.asarray(X)
    update = jax.jit(
        lambda: tx.update(None, tx.init(x), x, value_fn=lambda x: jnp.sum(x**2) / 2 + offset)
    )
    slopes = np.asarray(update()[1].coefficients, np.float64) * len(points)
    estimates = slopes[:, None] * points
    mean = shares @ estimates
    return mean, shares @ np.sum(estimates**2, axis=1) - mean @ mean


D, MU2 = SIZE, RADIUS**2
LAST = S / 2 + MU2 * D / 2 + MU2  # the best constant baseline
EXPECTED = {
    "central, gaussian": (zojax.central, gaussian, (D + 1) * S),
    "forward, gaussian": (
        zojax.forward,
        gaussian,
        (D + 1) * S + MU2 / 4 * D * (D + 2) * (D + 4),
    ),
    "one point, gaussian": (
        one_point,
        gaussian,
        (D + 1) * S + MU2 / 2 * D * (D + 2) + D * LAST**2 / MU2,
    ),
    "central, signs": (zojax.central, signs, (D - 1) * S),
    "forward, signs": (zojax.forward, signs, (D - 1) * S + MU2 * D**3 / 4),
    # μ = √d r turns this into the (d - 1) s + μ² d²/4 of unit vectors.
    "forward, sphere": (zojax.forward, sphere, (D - 1) * S + MU2 * D**3 / 4),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_moments_on_a_quadratic(name, key, x64):
    """rtol: the state keeps coefficients in float32."""
    make, law, variance = EXPECTED[name]
    mean, found = moments(make, law, key)
    np.testing.assert_allclose(mean, X, rtol=1e-5)
    np.testing.assert_allclose(found, variance, rtol=1e-5)


def test_a_constant_in_the_loss_matters_to_one_point_alone(key, x64):
    for name, factor in {"forward, gaussian": 1, "one point, gaussian": 100}.items():
        make, law, variance = EXPECTED[name]
        _, found = moments(make, law, key, offset=50.0)
        if factor == 1:
            np.testing.assert_allclose(found, variance, rtol=1e-5)
        else:
            assert found > factor * variance


@pytest.mark.parametrize("make", [zojax.central, zojax.forward])
def test_a_constant_loss_has_no_slope_at_all(make, key):
    tx = zojax.estimate_gradient(key, zojax.gaussian(), make(RADIUS, 2))
    x = jnp.asarray(X, jnp.float32)
    updates, _ = jax.jit(
        lambda: tx.update(None, tx.init(x), x, value_fn=lambda x: 0 * jnp.sum(x) + 3.3)
    )()
    np.testing.assert_array_equal(updates, 0.0)
