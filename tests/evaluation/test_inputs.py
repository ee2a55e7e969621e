"""What weights are multiplied with, seen in a loss as it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evaluated_models import MODELS

from zojax.evaluation import loss_and_inputs

DATA = jnp.sin(jnp.arange(30.0)).reshape(2, 3, 5)


def gram(path, shape, axes, x):
    """Xᵀ X of all tokens."""
    x = x.reshape(x.shape[0], -1).astype(jnp.float32)
    return x.T @ x


def seen(loss, params, **options):
    return jax.jit(lambda params: loss_and_inputs(loss, params, gram, **options))(params)


def rows(x):
    x = np.asarray(x).reshape(-1, x.shape[-1])
    return x.T @ x


def cos(*shape):
    return jnp.cos(jnp.arange(float(np.prod(shape)))).reshape(shape)


@pytest.mark.parametrize(
    ("function", "shape", "expected"),
    [
        (lambda w: DATA @ w, (5, 4), rows(DATA)),
        (lambda w: DATA @ w.T, (4, 5), rows(DATA)),
        (lambda w: w @ DATA[0].T, (4, 5), rows(DATA[0])),
        (
            lambda w: jnp.einsum("bthi,hid->btd", DATA[:, :2, :4].reshape(2, 2, 2, 2), w),
            (2, 2, 3),
            rows(DATA[:, :2, :4]),
        ),
        (lambda w: (DATA @ w, DATA[0] @ w), (5, 4), rows(DATA) + rows(DATA[0])),
        (lambda w: DATA @ jax.checkpoint(jax.jit(lambda w: w))(w), (5, 4), rows(DATA)),
        (lambda w: jax.lax.map(lambda x: x @ w, DATA), (5, 4), rows(DATA)),
    ],
    ids=["right", "transposed", "left", "heads", "twice", "inlined", "map"],
)
def test_it_is_the_other_operand(function, shape, expected):
    def loss(params):
        return sum(jnp.sum(out) for out in jax.tree.leaves(function(params["w"])))

    value, found = seen(loss, {"w": cos(*shape)})
    np.testing.assert_allclose(value, loss({"w": cos(*shape)}), rtol=1e-6)
    np.testing.assert_allclose(found["['w']"], expected, rtol=1e-5, atol=1e-6)


def test_it_has_the_dtype_in_which_it_meets_the_weight():
    def loss(params):
        return jnp.sum(DATA.astype(jnp.bfloat16) @ params["w"].astype(jnp.bfloat16))

    def itself(path, shape, axes, x):
        return x

    _, found = loss_and_inputs(loss, {"w": cos(5, 4)}, itself)
    expected = DATA.astype(jnp.bfloat16).reshape(-1, 5)
    assert found["['w']"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.float32(found["['w']"]), np.float32(expected))


@pytest.mark.parametrize(
    "function",
    [
        lambda w: w[jnp.array([1, 3])],
        lambda w: jax.lax.cond(w[0, 0] > 0, lambda w: DATA[0] @ w, lambda w: DATA[1] @ w, w),
        lambda w: jnp.einsum("tei,eij->tej", cos(3, 5, 2), w.reshape(5, 2, 2)),
        lambda w: w * 2.0,
    ],
    ids=["gathered", "in a branch", "experts", "no contraction"],
)
def test_what_no_contraction_meets_as_it_is_has_none(function):
    _, found = seen(lambda params: jnp.sum(function(params["w"])), {"w": cos(5, 4)})
    assert not found


def test_layers_of_a_scan_are_those_of_a_loop():
    """Each with inputs of its own; a weight that all layers share has their sum."""
    params = {"shared": cos(5, 5) / 4, "stack": cos(3, 5, 5) / 4}

    def scanned(params):
        def layer(h, w):
            return jnp.tanh(h @ w + h @ params["shared"]), ()

        h, _ = jax.lax.scan(layer, DATA, params["stack"])
        return jnp.sum(h**2)

    h, expected = DATA, {"['shared']": 0.0, "['stack']": []}
    for w in params["stack"]:
        expected["['stack']"].append(rows(h))
        expected["['shared']"] += rows(h)
        h = jnp.tanh(h @ w + h @ params["shared"])
    value, found = seen(scanned, params)
    np.testing.assert_allclose(value, jnp.sum(h**2), rtol=1e-6)
    assert found.keys() == expected.keys()
    for path, summary in expected.items():
        np.testing.assert_allclose(found[path], np.stack(summary), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "conv"])
def test_the_loss_of_a_model_is_its_own(name):
    """And most of its weights are met: all kernels, and an embedding that is the head."""
    params, loss = MODELS[name]()
    value, found = seen(loss, params)
    np.testing.assert_allclose(value, jax.jit(loss)(params), rtol=1e-6)
    sizes = {jax.tree_util.keystr(p): leaf.size for p, leaf in jax.tree.leaves_with_path(params)}
    met = sum(sizes[path] for path in found)
    assert met > 0.5 * sum(sizes.values())
