"""Each direction may be evaluated with a share of the data of its own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_step_memory import TOKENS, scanned, weights_and_temporaries

import zojax

RADII = jnp.array([0.2, -0.2])
KEY = jax.random.key(3)


def network(x, batch):
    h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), batch["features"], x["stack"])
    return jnp.mean((h @ x["out"] - batch["targets"]) ** 2), {"norm": jnp.sum(h**2)}


def problem():
    keys = jax.random.split(KEY, 4)
    params = {
        "out": jax.random.normal(keys[0], (4,)),
        "stack": jax.random.normal(keys[1], (3, 4, 4)),
    }
    batch = {
        "features": jax.random.normal(keys[2], (4, 2, 4)),
        "targets": jax.random.normal(keys[3], (4, 2)),
    }
    return params, batch


@pytest.mark.parametrize("chunk_size", [1, 3, 4])
@pytest.mark.parametrize(
    "sampler",
    [zojax.gaussian(), zojax.factored(2), zojax.flipped()],
    ids=["gaussian", "factored", "flipped"],
)
def test_losses_are_those_of_plain_jax(sampler, chunk_size):
    """On explicitly perturbed params, direction by direction; aux follows its direction too."""
    params, batch = problem()

    @jax.jit
    def lazy(params, batch):
        directions, _ = sampler.draw(sampler.init(params), KEY, jnp.int32(0), 4, params)
        out = zojax.evaluate(
            network, params, directions, RADII, chunk_size=chunk_size, has_aux=True, shares=batch
        )
        return out, jax.vmap(lambda one: zojax.materialize(one, params))(directions)

    (losses, aux), z = lazy(params, batch)
    for k in range(4):
        share = jax.tree.map(lambda array, k=k: array[k], batch)
        for point, radius in enumerate(RADII):
            there = jax.tree.map(lambda x, z, k=k, r=radius: x + r * z[k], params, z)
            expected, expected_aux = network(there, share)
            np.testing.assert_allclose(losses[k, point], expected, rtol=2e-5)
            np.testing.assert_allclose(aux["norm"][k, point], expected_aux["norm"], rtol=2e-5)


def test_shares_of_another_number_are_named():
    params, batch = problem()
    directions, _ = zojax.gaussian().draw((), KEY, jnp.int32(0), 3, params)
    with pytest.raises(ValueError, match=r"shares\['features'\] must lead with the 3 directions"):
        zojax.evaluate(network, params, directions, RADII, has_aux=True, shares=batch)


def test_a_loss_without_a_batching_rule_sees_its_share():
    """Points and directions then take turns."""
    params, batch = problem()

    def of_host(x, share):
        host = lambda x, y: np.float32(np.sum(x) * np.sum(y))  # noqa: E731
        return jax.pure_callback(
            host, jax.ShapeDtypeStruct((), jnp.float32), x["out"], share["targets"]
        )

    losses = jax.jit(
        lambda params, batch: zojax.evaluate(
            of_host,
            params,
            zojax.gaussian().draw((), KEY, jnp.int32(0), 4, params)[0],
            0.0,
            chunk_size=4,
            shares=batch,
        )
    )(params, batch)
    expected = np.sum(params["out"]) * batch["targets"].sum(1)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_shares_side_by_side_take_the_memory_of_the_batch():
    """Each of two directions sees one row: no perturbed weight is formed for each of them.

    What is held of the weights is as little as in a MeZO step on both rows, and their noise: 10 %.
    """
    params, loss = scanned()

    def held(tx):
        def step(params, state, tokens):
            updates, state = tx.update(None, state, params, value_fn=loss, tokens=tokens)
            return jax.tree.map(jnp.add, params, updates), state

        state = jax.eval_shape(tx.init, params)
        return weights_and_temporaries(step, params, state, TOKENS, donated=(0, 1))

    grzo = functools.partial(zojax.grzo, 1e-6, KEY, num_queries=2, divided=("tokens",))
    assert held(grzo()) < 1.1 * held(zojax.mezo(1e-6, KEY))
