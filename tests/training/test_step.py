"""The training step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import zojax
from zojax.training import make_step


def value_fn(params, batch):
    return jnp.sum((params["w"] - batch) ** 2)


def test_a_step_is_one_update_of_the_transformation():
    tx = zojax.mezo(0.01, jax.random.key(0), radius=0.1)
    params, batch = {"w": jnp.arange(4.0)}, jnp.ones(4)
    state = tx.init(params)
    updates, expected_state = tx.update(None, state, params, value_fn=value_fn, batch=batch)
    expected = optax.apply_updates(params, updates)

    step = make_step(tx, value_fn)
    copies = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))((params, state))
    actual, state, measured = step(*copies, batch=batch)
    # A rounding of the losses (near 5) reaches the params as 0.01 / (2 · 0.1) of itself.
    np.testing.assert_allclose(actual["w"], expected["w"], rtol=1e-6, atol=1e-6)
    value = optax.tree.get(expected_state, "value")
    np.testing.assert_allclose(measured["value"], value, rtol=1e-6)
    assert measured["num_evaluations"] == 2
    assert measured["num_nonfinite"] == 0
    assert copies[0]["w"].is_deleted()


def test_a_loss_that_is_not_finite_is_counted_and_withheld():
    tx = zojax.mezo(0.01, jax.random.key(0))
    params = {"w": jnp.arange(4.0)}
    step = make_step(tx, value_fn)
    state = jax.jit(tx.init)(params)
    params, state, measured = step(params, state, batch=jnp.full(4, jnp.nan))
    assert measured["num_nonfinite"] == 1
    np.testing.assert_array_equal(params["w"], np.arange(4.0))


def test_a_param_with_the_name_of_what_is_measured_is_no_measurement():
    """Attention has keys and values, and Adam keeps moments of them under their names."""
    tx = zojax.mezo_adam(0.01, jax.random.key(0))
    params = {"key": jnp.arange(4.0), "value": jnp.ones(4)}
    step = make_step(tx, lambda params: jnp.sum(params["key"] ** 2 + params["value"] ** 2))
    state = jax.jit(tx.init)(params)
    _, _, measured = step(params, state)
    np.testing.assert_allclose(measured["value"], 18.0, rtol=1e-3)
