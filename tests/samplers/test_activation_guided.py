"""Directions lie in the span of what a layer is given, whatever the layer is made of."""

import jax
import jax.numpy as jnp
import numpy as np

import zojax

TOKENS, WIDTH = 2, 6
DATA = jax.random.normal(jax.random.key(5), (TOKENS, WIDTH))


def weights(*shape):
    return jax.random.normal(jax.random.key(len(shape)), shape) / 2


def direction(loss, params, key, rank=TOKENS):
    """That of the first step, up to a factor: what an estimate along one direction is."""
    sampler = zojax.activation_guided(rank, 3)
    tx = zojax.estimate_gradient(key, sampler, zojax.forward(1e-2))
    estimate, _ = jax.jit(lambda x: tx.update(None, tx.init(x), x, value_fn=loss))(params)
    return jax.tree.map(np.asarray, estimate)


def outside(columns, inputs):
    """The part of the columns that the rows of `inputs` do not span, over all of them."""
    inputs = np.asarray(inputs)
    inside = np.linalg.pinv(inputs) @ inputs
    return np.abs(columns - inside @ columns).max() / np.abs(columns).max()


def test_each_layer_of_a_scan_has_the_span_of_its_own_inputs(key):
    params = {"stack": weights(3, WIDTH, WIDTH)}

    def loss(x):
        h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), DATA, x["stack"])
        return jnp.sum(h**2)

    z, h = direction(loss, params, key)["stack"], DATA
    for layer in range(3):
        assert outside(z[layer], h) < 1e-3
        h = jnp.tanh(h @ params["stack"][layer])
        assert outside(z[layer], h) > 1e-2


def test_an_embedding_that_is_the_head_has_the_span_on_its_side(key):
    params = {"embed": weights(9, WIDTH), "norm": jnp.ones(WIDTH)}

    def loss(x):
        h = jnp.tanh(x["embed"][jnp.array([1, 4])] * x["norm"])
        return jnp.sum(jnp.cos(h @ x["embed"].T))

    z = direction(loss, params, key)["embed"]
    h = jnp.tanh(params["embed"][jnp.array([1, 4])])
    assert outside(z.T, h) < 1e-3
    assert np.linalg.matrix_rank(z, tol=1e-4 * np.abs(z).max()) == TOKENS


def test_kernels_of_attention_are_one_matrix_on_either_side(key):
    params = {"query": {"kernel": weights(WIDTH, 2, 3)}, "out": {"kernel": weights(2, 3, WIDTH)}}

    def loss(x):
        heads = jnp.tanh(jnp.einsum("td,dhk->thk", DATA, x["query"]["kernel"]))
        return jnp.sum(jnp.cos(jnp.einsum("thk,hkd->td", heads, x["out"]["kernel"])))

    z = direction(loss, params, key)
    assert outside(z["query"]["kernel"].reshape(WIDTH, 6), DATA) < 1e-3
    heads = jnp.tanh(jnp.einsum("td,dhk->thk", DATA, params["query"]["kernel"]))
    assert outside(z["out"]["kernel"].reshape(6, WIDTH), heads.reshape(TOKENS, 6)) < 1e-3


def test_what_no_contraction_meets_has_a_random_basis_of_the_rank(key):
    params = {"table": weights(20, WIDTH)}
    z = direction(lambda x: jnp.sum(x["table"][jnp.array([3, 5])] ** 2), params, key)["table"]
    assert np.linalg.matrix_rank(z, tol=1e-4 * np.abs(z).max()) == TOKENS
    sketch = np.linalg.svd(z)[2][:TOKENS]
    np.testing.assert_allclose(sketch @ sketch.T, np.eye(TOKENS), atol=1e-5)


def test_the_covariance_is_that_of_a_random_basis(key):
    """E[z zᵀ] over 4,000 keys of a table that is gathered: scale² r / 6, within 5 errors."""
    params = {"table": jnp.zeros((9, WIDTH))}
    sampler = zojax.activation_guided(2, scale=0.5)

    @jax.jit
    @jax.vmap
    def squares(key):
        losses = zojax.Losses(lambda: 0.0, lambda *_: 0.0, lambda summarize: {})
        found = sampler.guide((), key, jnp.int32(0), params, losses)
        directions, _ = sampler.draw(found, key, jnp.int32(0), 1, params)
        one = jax.tree.map(lambda array: array[0], directions[0])
        return jnp.mean(one.draw((9, WIDTH)) ** 2)

    drawn = np.asarray(squares(jax.random.split(key, 4000)))
    error = drawn.std() / np.sqrt(len(drawn))
    np.testing.assert_allclose(drawn.mean(), 0.5**2 * 2 / WIDTH, atol=5 * error)
