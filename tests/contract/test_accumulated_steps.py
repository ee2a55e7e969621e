"""Calls with parts of a batch make the step of the whole, or `accumulate` is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from contract_rows import METHODS
from contract_steps import SINGLE, quadratic

TARGETS = jnp.array([[1.0, -0.5], [0.25, 2.0]])


def trajectory(tx, batches):
    """Params after all calls, within one scan."""

    def call(carry, targets):
        params, state = carry

        def loss(params):
            return jnp.mean(jax.vmap(lambda target: quadratic(params, target))(targets))

        updates, state = tx.update(None, state, params, value_fn=loss)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(call, (SINGLE, tx.init(SINGLE)), batches)[0]


@functools.partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
def whole_and_parts(name):
    """Two steps, and the same in four calls."""
    row, key = METHODS[name], jax.random.key(0)
    whole = row.make(row.learning_rate, key, **row.options)
    parts = row.make(row.learning_rate, key, **row.options, accumulate=2)
    return trajectory(whole, TARGETS), trajectory(parts, TARGETS.reshape(4, 1))


@pytest.mark.parametrize("name", [name for name, row in METHODS.items() if row.accumulates])
def test_calls_with_parts_of_a_batch_make_the_step_of_the_whole(name):
    """To the rounding of losses (1e-6 of them), divided by the radius and scaled by the method."""
    (whole, state), (parts, its_state) = whole_and_parts(name)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), whole, SINGLE)
    assert max(jax.tree.leaves(moved)) > 1e-2
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), parts, whole)
    count = functools.partial(optax.tree.get, key="num_evaluations")
    assert count(its_state) == 2 * count(state)


@pytest.mark.parametrize("name", [name for name, row in METHODS.items() if not row.accumulates])
def test_a_method_whose_directions_depend_on_the_batch_refuses_parts_of_one(name):
    row = METHODS[name]
    with pytest.raises(ValueError, match=r"accumulate = 2 does not go with .* use accumulate=1"):
        row.make(row.learning_rate, jax.random.key(0), **row.options, accumulate=2)
