"""Along directions on one block, the lazy evaluation is the materialized one, block by block."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evaluated_models import MODELS

import zojax
from zojax.evaluation import _contractions
from zojax.evaluation._together import computed_together, equal

RADIUS = jnp.array([0.2, -0.2])
# As for directions on all of params: sums in another order, relative to a loss of order 1.
RTOL = 2e-5


def by_axes(params):
    """The entries of the middle axis of every leaf."""
    return jax.tree.map(lambda leaf: zojax.Slices("all", (leaf.ndim // 2,)), params)


# model -> (labels, number of blocks): layers of lists and of stacks, and tied embeddings.
CASES = {
    "plain": (zojax.layer_blocks(), 4),
    "nnx": (zojax.layer_blocks(), 3),
    "opt": (zojax.layer_blocks(), 4),
    "linen": (zojax.layer_blocks(stacked=("ScanCheckpointLinenBlock_0",)), 3),
}


@pytest.mark.parametrize(
    ("model", "law"), [*((model, "rademacher") for model in CASES), ("opt", "gaussian")]
)
def test_lazy_is_materialized(model, law):
    """Two queries with two points each; every block moves the loss."""
    params, loss = MODELS[model]()
    labels, count = CASES[model]
    sampler = zojax.blocks(getattr(zojax, law)(), labels, order="cyclic")

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def both(params, step):
        directions, _ = sampler.draw((), jax.random.key(1), step, 2, params)
        evaluate = functools.partial(zojax.evaluate, loss, params, directions, RADIUS)
        return evaluate(), evaluate(materialize=True)

    for step in range(count):
        lazy, materialized = both(params, jnp.int32(step))
        assert lazy.shape == (2, 2)
        np.testing.assert_allclose(lazy, materialized, rtol=RTOL)
        assert np.ptp(materialized) > 1e-3
    with pytest.raises(ValueError, match=f"block {count}, but params have {count} blocks"):
        zojax.blocks(zojax.gaussian(), labels, order=(count,)).init(params)


@pytest.mark.parametrize("model", ["opt", "conv"])
def test_slices_across_everything(model):
    """Each leaf cut along its middle axis: what is scanned, contracted, gathered or convolved."""
    params, loss = MODELS[model]()
    sampler = zojax.blocks(zojax.rademacher(), by_axes, order="cyclic")

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def both(params, step):
        directions, _ = sampler.draw((), jax.random.key(1), step, 1, params)
        evaluate = functools.partial(zojax.evaluate, loss, params, directions, RADIUS)
        return evaluate(), evaluate(materialize=True)

    for step in (0, 5, 10):
        lazy, materialized = both(params, jnp.int32(step))
        np.testing.assert_allclose(lazy, materialized, rtol=RTOL)
        assert np.ptp(materialized) > 1e-4


def test_points_share_a_product_until_they_meet_the_block(monkeypatch):
    """With layer i of a list active, the products before it are formed once, all others twice."""
    params = list(jax.random.normal(jax.random.key(0), (5, 8, 8)))
    products = []
    dot = _contractions._dot

    def counted(*args):
        product = dot(*args)
        jax.debug.callback(products.append, product[0, 0])  # for every point that has its own
        return product

    def loss(params):
        x = functools.reduce(lambda x, w: jnp.tanh(x @ w), params, jnp.ones((3, 8)))
        return jnp.sum(x**2)

    monkeypatch.setattr(_contractions, "_dot", counted)
    for layer, losses in enumerate(_of_each_layer(loss, params, 5)):
        assert np.ptp(losses) > 1e-3
        assert len(products) == layer + 2 * (5 - layer)
        products.clear()


@pytest.mark.parametrize("shared", [False, True], ids=["stack", "stack and shared"])
def test_points_share_a_layer_of_a_scan_until_they_meet_the_block(shared):
    """With layer i of a stack active, those before it run once, all others for each point.

    A weight that all layers use is a block of its own; with it active, nothing is shared.
    """
    runs = []
    params = {"layers": jax.random.normal(jax.random.key(0), (5, 8, 8))}
    if shared:
        params["shared"] = jnp.eye(8)

    def loss(params):
        def layer(carry, w):
            x, count = carry
            x = jnp.tanh(x @ w @ params.get("shared", jnp.eye(8)))
            jax.debug.callback(runs.append, x[0, 0])
            return (x, count + 1), x[0]

        (x, count), rows = jax.lax.scan(layer, (jnp.ones((3, 8)), 0), params["layers"])
        return jnp.sum(x**2) + jnp.sum(rows) + count

    for layer, losses in enumerate(_of_each_layer(loss, params, 5 + shared)):
        assert np.ptp(losses) > 1e-3
        assert len(runs) == (layer + 2 * (5 - layer) if layer < 5 else 10)
        runs.clear()


def _of_each_layer(loss, params, count):
    """The losses at both points with each block active in its turn."""
    sampler = zojax.blocks(zojax.gaussian(), zojax.layer_blocks(), order="cyclic")

    @jax.jit
    def losses(params, step):
        directions, _ = sampler.draw((), jax.random.key(1), step, 1, params)
        return zojax.evaluate(loss, params, directions, RADIUS)

    for step in range(count):
        lazy = jax.block_until_ready(losses(params, jnp.int32(step)))
        jax.effects_barrier()
        yield lazy


def test_inputs_need_not_be_floats():
    x = jnp.arange(6).reshape(2, 3)
    w = jnp.arange(12.0).reshape(3, 4)

    def product(x, w):
        return jax.lax.dot_general(x, w, (((0,), (0,)), ((), ())))

    together = jax.vmap(lambda x: computed_together(product, x, w))(x > 2)
    np.testing.assert_array_equal(together, (x > 2).astype(w.dtype) @ w)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int8", "bool"])
def test_points_are_equal_bit_by_bit(dtype):
    other = jnp.nan if jnp.issubdtype(dtype, jnp.floating) else 0
    points = jnp.array([[1, other], [1, other], [1, other]]).astype(dtype)
    assert equal(points)
    assert equal(points[:, 0])
    assert not equal(points.at[2, 0].set(points[2, 1]))
    lanes = jnp.stack([points, points.at[1].set(points[1, ::-1])], axis=1)
    in_all = jax.vmap(equal, in_axes=1, out_axes=None)
    assert not in_all(lanes)
    assert in_all(lanes[:, :1])
