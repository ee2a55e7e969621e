"""Arguments of a loss that are divided among the directions of a step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

PARAMS = {"b": jnp.float32(0.5), "w": jnp.array([1.0, -2.0, 0.5])}
BATCH = {
    "x": jnp.sin(jnp.arange(18.0)).reshape(6, 3),
    "y": jnp.cos(jnp.arange(6.0)),
}


def loss(params, batch, offset=0.0):
    return jnp.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2) + offset


def run(tx, value_fn=loss, **data):
    data = {"batch": BATCH, **data}
    return jax.jit(lambda p, s: tx.update(None, s, p, value_fn=value_fn, **data))(
        PARAMS, tx.init(PARAMS)
    )


@pytest.mark.parametrize("num_queries", [2, 3, 6])
def test_the_estimate_is_that_of_slopes_of_parts(num_queries, key):
    """Written out: MeZO's Algorithm 2, in which every direction has a batch of its own."""
    sampler = zojax.gaussian()
    estimator = zojax.central(0.25, num_queries)
    tx = zojax.estimate_gradient(key, sampler, estimator, divided=("batch",), chunk_size=2)
    estimate, state = run(tx)
    directions, _ = sampler.draw((), key, jnp.int32(0), num_queries, PARAMS)
    expected = jax.tree.map(jnp.zeros_like, PARAMS)
    for k in range(num_queries):
        z = zojax.materialize(jax.tree.map(lambda a, k=k: a[k], directions), PARAMS)
        size = 6 // num_queries
        part = jax.tree.map(lambda a, k=k, n=size: a[n * k : n * (k + 1)], BATCH)
        above, below = (
            loss(jax.tree.map(lambda x, z, r=r: x + r * z, PARAMS, z), part) for r in (0.25, -0.25)
        )
        slope = (above - below) / 0.5 / num_queries
        expected = jax.tree.map(lambda e, z, s=slope: e + s * z, expected, z)
    for name, value in expected.items():
        np.testing.assert_allclose(estimate[name], value, rtol=2e-5)
    assert optax.tree.get(state, "num_evaluations") == 2  # of the whole batch


def test_a_base_is_that_of_the_whole_batch(key):
    tx = zojax.estimate_gradient(key, zojax.gaussian(), zojax.forward(0.25, 3), divided=("batch",))
    _, state = run(tx)
    np.testing.assert_allclose(state.last_losses[-1], loss(PARAMS, BATCH), rtol=1e-6)
    assert state.num_evaluations == 1 + 1


def test_one_direction_has_the_whole_batch(key):
    options = {"sampler": zojax.gaussian(), "estimator": zojax.central(0.25)}
    plain, _ = run(zojax.estimate_gradient(key, **options))
    divided, _ = run(zojax.estimate_gradient(key, **options, divided=("batch",)))
    for name, value in plain.items():
        np.testing.assert_allclose(divided[name], value, rtol=1e-6)


def test_other_arguments_and_links_see_all_of_it(key):
    """What is not named is whole, and so is what the chain is told."""
    seen = []

    def spy():
        def update(updates, state, params=None, *, batch, **kwargs):
            seen.append(jax.tree.map(jnp.shape, batch))
            return updates, state

        return optax.GradientTransformationExtraArgs(lambda p: (), update)

    estimate = zojax.estimate_gradient(
        key, zojax.gaussian(), zojax.central(0.25, 2), divided=("batch",)
    )
    run(zojax.chain(estimate, spy()), offset=jnp.float32(2.0))
    assert seen == [{"x": (6, 3), "y": (6,)}]


def test_a_step_is_made_again_from_its_losses(key):
    tx = zojax.grzo(0.1, key, radius=0.25, num_queries=3)
    updates, after = run(tx)
    again, _ = run(tx, zojax.Recorded(optax.tree.get(after, "last_losses")))
    for name, value in updates.items():
        np.testing.assert_array_equal(again[name], value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"batch": {"x": jnp.ones((7, 3)), "y": jnp.ones(6)}}, r"batch\['x'\] of shape \(7, 3\)"),
        ({"batch": {"x": jnp.ones((6, 3)), "y": jnp.ones(())}}, r"batch\['y'\] of shape \(\)"),
    ],
)
def test_what_cannot_be_divided_is_named(data, message, key):
    tx = zojax.estimate_gradient(key, zojax.gaussian(), zojax.central(0.25, 3), divided=("batch",))
    with pytest.raises(ValueError, match=message + " cannot be divided among num_queries=3"):
        run(tx, **data)


def test_a_name_alone_is_refused(key):
    with pytest.raises(ValueError, match=r"divided must be a tuple of names, got 'batch'; write"):
        zojax.grzo(0.1, key, divided="batch")


def test_arrays_of_numpy_are_divided_too(key):
    tx = zojax.grzo(0.1, key, radius=0.25, num_queries=3)
    plain, _ = run(tx)
    batch = {"x": np.asarray(BATCH["x"]), "y": BATCH["y"]}
    found, _ = tx.update(None, tx.init(PARAMS), PARAMS, value_fn=loss, batch=batch)
    for name, value in plain.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4)


def test_a_missing_argument_is_named(key):
    tx = zojax.estimate_gradient(key, zojax.gaussian(), zojax.central(0.25, 3), divided=("tokens",))
    with pytest.raises(ValueError, match=r"divided names 'tokens', which update was not given"):
        run(tx)


def test_a_sampler_that_asks_first_is_given_the_whole_batch(key):
    """P-GAP's probes: of the whole batch, and the step along what they show of its parts."""
    sampler = zojax.probed(1, 1, 2, 0.25)
    params = {"w": jnp.ones((3, 2))}

    def loss(params, batch):
        return jnp.mean((batch["x"] @ params["w"]) ** 2)

    tx = zojax.estimate_gradient(key, sampler, zojax.central(0.25), divided=("batch",))
    _, state = jax.jit(lambda x: tx.update(None, tx.init(x), x, value_fn=loss, batch=BATCH))(params)
    assert state.num_evaluations == 2 * 2 + 2
    directions = zojax.gaussian().recall(key, jnp.int32(0), 3, params)
    z = zojax.materialize(jax.tree.map(lambda a: a[1], directions), params)
    there = jax.tree.map(lambda x, z: x + 0.25 * z, params, z)
    np.testing.assert_allclose(state.last_losses[0], loss(there, BATCH), rtol=1e-5)
