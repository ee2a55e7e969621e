"""AGZO is the loop of its paper, and looks where the gradient can be."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.methods.taped import FEATURES, START, network
from tests.reference.agzo import agzo as reference
from zojax.noise import _keys
from zojax.samplers.factored._matrices import Kinds, matrices
from zojax.samplers.factored._parts import draw_part

KINDS = Kinds("gaussian", "identity", "gaussian", 8)


def inputs(x):
    """What the two weights of `taped.network` are multiplied with."""
    return {"hidden": FEATURES, "out": np.tanh(FEATURES @ x["hidden"])}


def drawn(key, step, num_queries, rank):
    """Ω of each matrix, and for every query R of each matrix and z of the vector."""
    step, names = jnp.int32(step), ("hidden", "out")
    seen = matrices(START, zojax.kernels_as_matrices, KINDS, rank, 1.0)

    def part(side, key):
        found = draw_part(side, KINDS, key, START, seen)
        return dict(zip(names, map(np.float64, found), strict=True))

    starts = part("left", _keys.refresh_key(key, step))
    dense = zojax.gaussian().recall(key, step, num_queries, START)
    queries = [
        part("right", of_query)
        | {"b": np.float64(jax.tree.map(lambda a, k=k: a[k], dense[0]).draw((3,)))}
        for k, of_query in enumerate(_keys.query_keys(key, step, num_queries))
    ]
    return starts, queries


@pytest.mark.parametrize(("num_queries", "rank", "iterations"), [(1, 2, 1), (2, 1, 3)])
def test_eight_steps_equal_the_papers_loop(num_queries, rank, iterations, key, x64):
    options = {"learning_rate": 0.1, "radius": 1e-2, "weight_decay": 0.2, "iterations": iterations}
    tx = zojax.agzo(key=key, num_queries=num_queries, rank=rank, **options)

    def step(carry, _):
        x, state = carry
        updates, state = tx.update(None, state, x, value_fn=network)
        return (optax.apply_updates(x, updates), state), None

    x = jax.tree.map(jnp.asarray, START)
    (found, state), _ = jax.jit(lambda: jax.lax.scan(step, (x, tx.init(x)), length=8))()
    starts, noise = zip(*(drawn(key, at, num_queries, rank) for at in range(8)), strict=True)
    expected = reference(lambda x: network(x, np), inputs, START, starts, noise, **options)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-7)
        assert (found[name] != START[name]).all()
    assert optax.tree.get(state, "num_evaluations") == 8 * (num_queries + 1)


def test_directions_span_what_the_gradient_can_be_made_of(key):
    """Inputs of rank 2 in 6 dimensions: with r = 2 no direction leaves their span."""
    rng = np.random.default_rng(0)
    spanning = np.float32(rng.normal(size=(2, 6)))
    x = {"w": jnp.zeros((6, 9))}
    features = np.float32(rng.normal(size=(20, 2))) @ spanning
    targets = np.float32(rng.normal(size=(20, 9)))

    def loss(x):
        return jnp.mean((features @ x["w"] - targets) ** 2)

    tx = zojax.agzo(1.0, key, rank=2)
    update, _ = jax.jit(lambda x: tx.update(None, tx.init(x), x, value_fn=loss))(x)
    outside = np.eye(6) - np.linalg.pinv(spanning) @ spanning
    size = np.abs(update["w"]).max()
    assert np.abs(outside @ np.asarray(update["w"])).max() < 1e-4 * size
    gradient = np.asarray(jax.grad(loss)(x)["w"])
    assert np.abs(outside @ gradient).max() < 1e-5 * np.abs(gradient).max()


def test_a_step_cannot_be_made_again_from_its_losses(key):
    x = jax.tree.map(jnp.float32, START)
    tx = zojax.agzo(0.1, key)
    _, state = jax.jit(lambda x: tx.update(None, tx.init(x), x, value_fn=network))(x)
    losses = optax.tree.get(state, "last_losses")
    with pytest.raises(ValueError, match=r"made of the inputs of layers: a step cannot be made"):
        tx.update(None, state, x, value_fn=zojax.Recorded(losses))


def test_a_step_without_a_finite_loss_changes_nothing(key):
    x = jax.tree.map(jnp.float32, START)
    tx = zojax.agzo(0.1, key, weight_decay=0.1)
    update, state = jax.jit(
        lambda x, spoil: tx.update(None, tx.init(x), x, value_fn=lambda x: network(x) + spoil)
    )(x, jnp.nan)
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0.0), update)
    assert optax.tree.get(state, "num_nonfinite") == 1


def test_inputs_that_are_no_numbers_leave_no_trace_in_an_estimate(key):
    """The estimate is 0, and not 0 times what is no number."""
    x = {"b": jnp.zeros(3), "hidden": jnp.full((4, 5), jnp.inf), "out": jnp.ones((5, 3))}

    def loss(x):
        return jnp.sum((FEATURES @ x["hidden"]) @ x["out"] + x["b"])

    sampler, estimator = zojax.activation_guided(2), zojax.forward(0.1)
    tx = zojax.estimate_gradient(key, sampler, estimator)
    estimate, state = jax.jit(lambda x: tx.update(None, tx.init(x), x, value_fn=loss))(x)
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0.0), estimate)
    assert state.num_nonfinite == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, r"rank must be an integer of at least 1, got 0"),
        ({"iterations": 0}, r"iterations must be an integer of at least 1, got 0"),
        ({"num_queries": 0}, r"num_queries must be an integer of at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.agzo(0.1, key, **arguments)
