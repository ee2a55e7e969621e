"""Several training steps in one call."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from zojax.training import make_step, make_steps, peak_bytes

NUM_STEPS = 3


def network(params, batch, scale):
    hidden = batch
    for weight in params["layers"]:
        hidden = jnp.tanh(scale * hidden @ weight)
    return jnp.mean(hidden**2)


def start(tx, *, width=8):
    keys = jax.random.split(jax.random.key(1), 4)
    params = {"layers": [jax.random.normal(key, (width, width)) for key in keys]}
    return jax.jit(lambda params: (params, tx.init(params)))(params)


def data(calls, *, width=8):
    batches = jax.random.normal(jax.random.key(2), (calls, NUM_STEPS, 2, width))
    return batches, jnp.float32(0.3)


def test_one_call_is_as_many_steps():
    tx = zojax.mezo(optax.linear_schedule(0.1, 0.0, 10), jax.random.key(0), radius=0.1)
    traces = []

    def value_fn(params, batch, scale):
        traces.append(batch.shape)
        return network(params, batch, scale)

    batches, scale = data(2)
    expected_params, expected_state = start(tx)
    step, expected = make_step(tx, network), []
    for batch in batches.reshape(-1, *batches.shape[2:]):
        expected_params, expected_state, measured = step(
            expected_params, expected_state, batch=batch, scale=scale
        )
        expected.append(measured)

    steps, calls = make_steps(tx, value_fn), []
    params, state = start(tx)
    for group in batches:
        old = params
        params, state, measured = steps(params, state, {"batch": group}, scale=scale)
        calls.append((measured, len(traces)))
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(old))

    close = {"rtol": 1e-6, "atol": 1e-6}
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **close), params, expected_params)
    for name in ("value", "num_evaluations", "num_nonfinite"):
        values = np.hstack([measured[name] for measured, _ in calls])
        np.testing.assert_allclose(values, [step[name] for step in expected], rtol=1e-6)
    for name in ("count", "num_evaluations", "num_nonfinite"):
        counters = (optax.tree.get_all_with_path(of, name) for of in (state, expected_state))
        for (_, ours), (_, theirs) in zip(*counters, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert calls[0][1] == calls[1][1]  # the second call compiled nothing
    assert set(traces) == {(2, 8)}


def test_a_loss_that_is_not_finite_withholds_its_own_update_alone():
    tx = zojax.mezo(0.1, jax.random.key(0))
    batches, scale = data(1)
    params, state = start(tx)
    before = jax.tree.map(jnp.copy, params)
    bad = batches[0].at[1:].set(jnp.nan)
    params, state, measured = make_steps(tx, network)(params, state, {"batch": bad}, scale=scale)
    np.testing.assert_array_equal(measured["num_nonfinite"], [0, 1, 2])
    np.testing.assert_array_equal(np.isfinite(measured["value"]), [True, False, False])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    assert not np.array_equal(params["layers"][0], before["layers"][0])


@pytest.mark.parametrize("method", [zojax.mezo, zojax.mezo_adam])
def test_several_steps_need_the_memory_of_one(method):
    """The params and moments are updated in place: a copy would add at least 4 MB."""
    tx, width = method(0.1, jax.random.key(0)), 512
    params, state = start(tx, width=width)
    batches, scale = data(1, width=width)
    one = (
        make_step(tx, network)
        .lower(params, state, batch=batches[0, 0], scale=scale)
        .compile(BUFFERS_AS_USERS_HAVE)
    )
    many = make_steps(tx, network).lower(params, state, {"batch": batches[0]}, scale=scale)
    many = many.compile(BUFFERS_AS_USERS_HAVE)
    temporaries = [compiled.memory_analysis().temp_size_in_bytes for compiled in (one, many)]
    assert temporaries[1] <= 1.03 * temporaries[0]
    assert peak_bytes(many) <= 1.03 * peak_bytes(one)
