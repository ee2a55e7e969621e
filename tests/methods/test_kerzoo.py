"""KerZOO is the loop of its paper, and its kernels have the moments that they are chosen for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from eight_steps import START, STEPS, assert_ends_agree, eight_steps, in_numpy

import zojax
from tests.reference import kerzoo as reference
from zojax.estimators._kernel_weighted import kernel
from zojax.noise import keys

# Exact for polynomials up to degree 23; on (0, 1), weights of sum 1.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2


@pytest.mark.parametrize(("order", "num_queries"), [(2, 1), (4, 2), (6, 1)])
def test_eight_steps_equal_the_papers_loop(order, num_queries, key, x64):
    """Fed the same u and s, every second s with its sign turned."""
    tx = zojax.kerzoo(0.2, key, radius=0.3, num_queries=num_queries, order=order)
    params, _, u = eight_steps(tx, key, num_queries)
    s = np.stack(
        [
            jax.random.uniform(keys.estimator_key(key, jnp.int32(step)), (num_queries,))
            for step in range(STEPS)
        ]
    )
    s[::2] *= -1
    expected = reference.kerzoo(in_numpy, START, u, s, learning_rate=0.2, radius=0.3, order=order)
    assert_ends_agree(params, expected)


@pytest.mark.parametrize(
    ("order", "third", "fifth", "linear", "noise"),
    [
        (2, 3 / 5, 3 / 7, 1.8, 3.0),
        (4, 0.0, -5 / 21, 6.25, 18.75),
        (6, 0.0, 0.0, 13.2518, 57.4219),
    ],
)
def test_the_moments_of_the_kernels(order, third, fifth, linear, noise, x64):
    """E[s W] = 1, E[s³ W] and E[s⁵ W] as stated; E[(s W)²] and E[W²] are the price."""
    s, w = NODES, np.asarray(kernel(jnp.asarray(NODES), order))
    moments = [WEIGHTS @ (s**power * w) for power in (1, 3, 5)]
    np.testing.assert_allclose(moments, [1.0, third, fifth], atol=1e-13)
    np.testing.assert_allclose([WEIGHTS @ (s * w) ** 2, WEIGHTS @ w**2], [linear, noise], rtol=2e-4)


@pytest.mark.parametrize(("order", "error"), [(2, 3 / 5 * 0.25), (4, 0.0), (6, 0.0)])
def test_the_error_of_a_cubic_vanishes_from_order_four_on(order, error, x64):
    """f(x) = x³ at 0 along z = 1, where the slope is 0 and a difference at r gives r² = ¼."""
    w = np.asarray(kernel(jnp.asarray(NODES), order))
    differences = ((0.5 * NODES) ** 3 - (-0.5 * NODES) ** 3) / (2 * 0.5)
    np.testing.assert_allclose(WEIGHTS @ (w * differences), error, atol=1e-14)


def test_the_estimator_averages_what_its_kernel_weighs(key, x64):
    """On f = x³ with 20,000 queries: the mean within 5 standard errors of 0, MeZO's is r² = ¼."""
    count, x = 20_000, jnp.zeros(())
    estimate = {}
    for name, estimator in {
        "kernel": zojax.kernel_weighted(0.5, count),
        "central": zojax.central(0.5, count),
    }.items():
        tx = zojax.estimate_gradient(key, zojax.rademacher(), estimator)
        estimate[name] = jax.jit(
            lambda state, tx=tx: tx.update(None, state, x, value_fn=lambda x: x**3)[0]
        )(tx.init(x))
    slopes = 0.5**2 * NODES**3 * np.asarray(kernel(jnp.asarray(NODES), 4))
    deviation = np.sqrt(WEIGHTS @ slopes**2)
    assert abs(estimate["kernel"]) < 5 * deviation / np.sqrt(count) < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, "radius must be a finite number above 0, got 0.0"),
        ({"num_queries": 0}, "num_queries must be an integer of at least 1, got 0"),
        ({"order": 3}, "order must be one of 2, 4, 6, got 3"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.kerzoo(0.1, key, **arguments)
