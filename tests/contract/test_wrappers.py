"""Every method works inside and before the wrappers and links of optax."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from contract_rows import METHODS
from contract_steps import SINGLE, build, quadratic, run, step_of, traced_once

import zojax

# Programs that do the same in another order of operations; 4 steps in float32, from entries of size
# 2 to some that end near 0.
CLOSE = {"rtol": 1e-5, "atol": 2e-6}


@pytest.fixture(scope="module", params=METHODS)
def row(request):
    return METHODS[request.param]


@pytest.fixture(scope="module")
def plain(row):
    """Params after 4 steps of the method alone, one after another."""
    tx = build(row, jax.random.key(0))
    step = jax.jit(step_of(tx))
    params, state = SINGLE, tx.init(SINGLE)
    for _ in range(4):
        updates, state = step(params, state)
        params = optax.apply_updates(params, updates)
    return params


def after(tx, count):
    return jax.jit(lambda: run(tx, SINGLE, count)[0])()


def test_a_scan_of_a_wrapped_method_with_a_schedule_is_the_loop(row, plain, key):
    """Three things in one program, each of which has to change nothing.

    That is a scan, a schedule that is constant, and `apply_if_finite` around the method.
    """
    scheduled = row.make(optax.constant_schedule(row.learning_rate), key, **row.options)
    tx = optax.apply_if_finite(scheduled, max_consecutive_errors=3)
    chex.assert_trees_all_close(after(tx, 4), plain, **CLOSE)


def test_hyperparameters_may_be_injected(row, plain, key):
    """And changed between steps without another trace: twice the rate is twice the update."""
    inject = optax.inject_hyperparams(row.make, static_args=row.static)
    tx = inject(learning_rate=row.learning_rate, key=key, **row.options)
    step = traced_once(step_of(tx))
    params, state = SINGLE, tx.init(SINGLE)
    for _ in range(4):
        before = params, state
        updates, state = step(params, state)
        params = optax.apply_updates(params, updates)
    chex.assert_trees_all_close(params, plain, **CLOSE)
    params, state = before
    state.hyperparams["learning_rate"] = 2 * state.hyperparams["learning_rate"]
    doubled, _ = step(params, state)
    chex.assert_trees_all_close(doubled, jax.tree.map(lambda u: 2 * u, updates), rtol=1e-6)


def test_adam_takes_the_estimates_for_gradients(key):
    """A quadratic shrinks 100 times in 200 steps."""
    tx = optax.chain(
        zojax.estimate_gradient(key, zojax.gaussian(), zojax.central(num_queries=4)),
        optax.adam(0.05),
    )
    assert quadratic(SINGLE, 1.0) / quadratic(after(tx, 200), 1.0) >= 100


def test_multi_steps_behind_an_estimate_averages_estimates(key):
    """Two steps at the same params, then one update with the mean of their estimates."""
    estimate = zojax.estimate_gradient(key, zojax.gaussian(), zojax.central())
    later = optax.MultiSteps(optax.sgd(1.0), every_k_schedule=2).gradient_transformation()
    chain = optax.chain(estimate, later)

    @jax.jit
    def steps():
        pairs = []
        for tx in (estimate, chain):
            first, state = step_of(tx)(SINGLE, tx.init(SINGLE))
            pairs.append((first, step_of(tx)(SINGLE, state)[0]))
        return pairs

    (one, two), (none, mean) = steps()
    assert not any(jnp.any(leaf) for leaf in jax.tree.leaves(none))
    expected = jax.tree.map(lambda a, b: -(a + b) / 2, one, two)
    chex.assert_trees_all_close(mean, expected, **CLOSE)
