"""Along directions on one block, the lazy evaluation is the materialized one, block by block."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evaluated_models import MODELS

import zojax
from zojax.evaluation._shared_points import alike

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


def _scanned(layer, x, params):
    return jax.lax.scan(lambda x, w: layer(x, w, params.get("shared")), x, params["layers"])


def _listed(layer, x, params):
    for w in params["layers"]:
        x, row = layer(x, w, params.get("shared"))
    return x, row


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@pytest.mark.parametrize("over_layers", [_scanned, _listed])
def test_points_share_a_layer_until_they_meet_the_block(over_layers, shared):
    """With layer i active, those before it run once, all others for each point.

    A weight that all layers use is a block of its own. With it active, a list shares what comes
    before it in the first layer, and a scan nothing.
    """
    runs = []
    params = {"layers": jax.random.normal(jax.random.key(0), (5, 8, 8))}
    if over_layers is _listed:
        params["layers"] = list(params["layers"])
    if shared:
        params["shared"] = jnp.eye(8)

    def loss(params):
        def layer(carry, w, after):
            x, count = carry
            x = jnp.tanh(x @ w)
            jax.debug.callback(runs.append, x[0, 0])
            return (x if after is None else x @ after, count + 1), x[0]

        (x, count), rows = over_layers(layer, (jnp.ones((3, 8)), 0), params)
        return jnp.sum(x**2) + jnp.sum(rows) + count

    once = [0, 1, 2, 3, 4, over_layers is _listed]
    for losses, shared_runs in zip(_of_each_layer(loss, params, 5 + shared), once, strict=False):
        assert np.ptp(losses) > 1e-3
        assert len(runs) == shared_runs + 2 * (5 - shared_runs)
        runs.clear()


@pytest.mark.parametrize("over_layers", [_scanned, _listed])
def test_queries_side_by_side_are_those_one_by_one(over_layers):
    """Where only some pieces are run for all points at once, the losses are the materialized."""
    params = {"layers": jax.random.normal(jax.random.key(0), (3, 8, 8)), "shared": jnp.eye(8)}
    if over_layers is _listed:
        params["layers"] = list(params["layers"])

    def loss(params):
        def layer(x, w, after):
            x = jnp.tanh(x @ w) @ after
            return x, x[0]

        x, rows = over_layers(layer, jnp.ones((3, 8)), params)
        return jnp.sum(x**2) + jnp.sum(rows)

    sampler = zojax.blocks(zojax.gaussian(), zojax.layer_blocks(), order="cyclic")

    @jax.jit
    def losses(params, step):
        directions, _ = sampler.draw((), jax.random.key(1), step, 4, params)
        evaluate = functools.partial(zojax.evaluate, loss, params, directions, RADIUS)
        return evaluate(chunk_size=2), evaluate(), evaluate(materialize=True)

    for step in range(4):
        side_by_side, one_by_one, materialized = losses(params, jnp.int32(step))
        np.testing.assert_allclose(side_by_side, materialized, rtol=RTOL)
        np.testing.assert_allclose(one_by_one, materialized, rtol=RTOL)
        assert np.ptp(materialized) > 1e-3


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


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int8", "bool"])
def test_points_are_alike_bit_by_bit(dtype):
    other = jnp.nan if jnp.issubdtype(dtype, jnp.floating) else 0
    points = jnp.array([[1, other], [1, other], [1, other]]).astype(dtype)
    of_points = functools.partial(jax.vmap, out_axes=None)
    assert of_points(alike)(points)
    assert of_points(alike)(points[:, 0])
    assert of_points(alike, in_axes=(None, 0))(points.T, points)
    moved = points.at[2, 0].set(points[2, 1])
    assert not of_points(alike)(moved)
    assert not of_points(alike)(points, moved)
    lanes = jnp.stack([points, points.at[1].set(points[1, ::-1])])
    in_all = jax.vmap(of_points(alike), out_axes=None)
    assert not in_all(lanes)
    assert in_all(lanes[:1])


def test_what_has_no_bits_to_compare_is_not_alike():
    assert not jax.vmap(alike, out_axes=None)(jnp.zeros((2, 3), complex))
