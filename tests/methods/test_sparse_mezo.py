"""Sparse-MeZO is the loop of its paper, and moves small weights alone."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from eight_steps import START, eight_steps, in_numpy, logistic

import zojax
from tests.reference.sparse_mezo import sparse_mezo as reference
from zojax.samplers import kernels_as_matrices, magnitude_thresholds


@pytest.mark.parametrize(("num_queries", "weight_decay"), [(1, 0.0), (2, 0.3)])
def test_eight_steps_equal_the_papers_loop(num_queries, weight_decay, key, x64):
    """Fed the same z. In some step a weight grows above its threshold, and rests from then on."""
    arguments = {"radius": 1e-2, "sparsity": 0.5, "weight_decay": weight_decay}
    tx = zojax.sparse_mezo(0.8, key, num_queries=num_queries, **arguments)
    params, _, z = eight_steps(tx, key, num_queries)
    expected, masks = reference(in_numpy, START, z, learning_rate=0.8, **arguments)
    counts = [sum(int(leaf.sum()) for leaf in mask.values()) for mask in masks]
    assert counts[0] == 4
    assert counts[-1] < counts[0]
    for name, value in expected.items():
        np.testing.assert_allclose(params[name][-1], value, rtol=1e-6, atol=1e-7)


def steps(tx, x, count=4):
    def step(carry, _):
        x, state = carry
        updates, state = tx.update(None, state, x, value_fn=logistic)
        return (optax.apply_updates(x, updates), state), None

    return jax.jit(lambda x: jax.lax.scan(step, (x, tx.init(x)), length=count)[0])(x)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_large_weights_keep_every_bit(dtype, key):
    """Also with weight decay, and -0.0 stays a small weight."""
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), START)
    tx = zojax.sparse_mezo(0.01, key, radius=0.1, sparsity=0.5, weight_decay=0.5)
    end, _ = steps(tx, x)
    for name, limit in magnitude_thresholds(x, 0.5, kernels_as_matrices).items():
        large = np.abs(np.float32(x[name])) > np.float32(limit)
        assert large.sum() == large.size // 2
        before, after = np.asarray(x[name]), np.asarray(end[name])
        assert before[large].tobytes() == after[large].tobytes()
        assert (before[~large] != after[~large]).all()


def test_without_sparsity_it_is_mezo(key):
    """Bit by bit: thresholds are the largest magnitudes then, and a tiny step exceeds none."""
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), START)
    ends = [
        jax.jit(lambda x, tx=tx: tx.update(None, tx.init(x), x, value_fn=logistic)[0])(x)
        for tx in (
            zojax.sparse_mezo(0.1, key, radius=0.1, sparsity=0.0),
            zojax.mezo(0.1, key, radius=0.1),
        )
    ]
    chex.assert_trees_all_close(*ends, rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_thresholds_are_order_statistics_of_each_layer(dtype):
    rng = np.random.default_rng(0)
    params = {
        "b": jnp.asarray(rng.normal(size=7), dtype),
        "stack": jnp.asarray(
            rng.normal(size=(3, 4, 5)) * 2.0 ** rng.integers(-30, 30, 3)[:, None, None], dtype
        ),
        "zero": jnp.zeros((2, 2), dtype),
    }
    found = jax.jit(lambda x: magnitude_thresholds(x, 0.6, kernels_as_matrices))(params)
    magnitudes = {name: np.abs(np.float32(leaf)) for name, leaf in params.items()}
    np.testing.assert_array_equal(found["b"], [np.sort(magnitudes["b"])[3 - 1]])
    layers = np.sort(magnitudes["stack"].reshape(3, 20), axis=1)[:, 8 - 1]
    np.testing.assert_array_equal(found["stack"], layers[:, None, None])
    np.testing.assert_array_equal(found["zero"], [[0.0]])


@pytest.mark.parametrize("where", ["init", "arguments"])
def test_what_does_not_go_is_refused(where, key):
    if where == "init":
        tx = zojax.sparse_mezo(0.1, key, sampler=zojax.factored(1))
        with pytest.raises(ValueError, match="small_weights needs noise that is drawn entry by"):
            tx.init({"w": jnp.ones((4, 5))})
        return
    with pytest.raises(ValueError, match="sparsity must be a number of at least 0 and below 1"):
        zojax.sparse_mezo(0.1, key, sparsity=1.0)
