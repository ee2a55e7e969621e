"""The average of the weights over updates, against a loop in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from experiments._averaging import average_params, averaged

DECAY = 0.75
START = {"w": jnp.array([1.0, -2.0, 0.5]), "average": jnp.array([[0.25]])}


def loss(params, shift):
    return sum(jnp.sum((leaf - shift) ** 2) for leaf in params.values())


def run(accumulate, params, calls):
    """Params and averages after every call."""
    tx = optax.chain(
        zojax.mezo(0.1, jax.random.key(0), accumulate=accumulate),
        average_params(DECAY, accumulate=accumulate),
    )

    @jax.jit
    def step(params, state, shift):
        updates, state = tx.update(None, state, params, value_fn=loss, shift=shift)
        return optax.apply_updates(params, updates), state

    state, seen = jax.jit(tx.init)(params), []
    for call in range(calls):
        params, state = step(params, state, jnp.float32(0.1 * call))
        seen.append(jax.device_get((params, averaged(params, state), state[-1].average)))
    return seen


@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_is_the_loop_over_updates(accumulate):
    expected = {name: np.asarray(leaf) for name, leaf in START.items()}
    for call, (params, average, _) in enumerate(run(accumulate, START, 6), start=1):
        if call % accumulate == 0:
            for name in expected:
                expected[name] = DECAY * expected[name] + (1 - DECAY) * params[name]
        for name, leaf in average.items():
            np.testing.assert_allclose(leaf, expected[name], rtol=1e-6)
            assert call < accumulate or not np.array_equal(leaf, params[name])


def test_of_narrow_weights_it_is_kept_in_float32_and_given_in_their_dtype():
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), START)
    for params, average, stored in run(1, narrow, 2):
        for name, leaf in params.items():
            assert (leaf.dtype, average[name].dtype) == (jnp.bfloat16, jnp.bfloat16)
            assert stored[name].dtype == np.float32


def test_without_one_the_weights_stand_for_themselves():
    """A weight of that name is no average."""
    state = optax.trace(0.9).init(START)
    assert averaged(START, state) is START
