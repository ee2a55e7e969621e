"""A round a step tends to the polar factor of the leading part."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax.transforms import power_iteration

RNG = np.random.default_rng(8)
U, V = (np.linalg.qr(RNG.normal(size=(n, 4)))[0] for n in (4, 6))


@functools.partial(jax.jit, static_argnums=(1, 2))
def repeated(x, components, count):
    """What `count` rounds make of the same matrix."""
    tx = power_iteration(components)
    out, _ = jax.lax.scan(lambda s, _: tx.update(x, s)[::-1], tx.init(x), length=count)
    return tx.update(x, out)[0]


@pytest.mark.parametrize("components", [2, 4, 9])
def test_of_a_matrix_that_stays_it_tends_to_the_polar_factor_of_its_leading_part(components):
    """Singular values 8, 4, 2, 1: the error falls by 4 a round. 9 components are clamped to 4."""
    x = jnp.asarray(U * [8.0, 4.0, 2.0, 1.0] @ V.T, jnp.float32)
    k = min(components, 4)
    expected = U[:, :k] @ V[:, :k].T
    found = repeated(x, components, 20)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(repeated(2.0**20 * x, components, 20), found, atol=1e-6)


def test_batches_other_leaves_and_zeros():
    """A stack is a batch, a vector is left alone, and nothing comes of nothing, nor later NaN."""
    stack = jnp.asarray(RNG.normal(size=(2, 3, 5)), jnp.float32)
    x = {"b": jnp.arange(3.0), "stack": stack}
    tx = power_iteration(2)
    out, state = tx.update(x, tx.init(x))
    np.testing.assert_array_equal(out["b"], x["b"])
    assert state.right["stack"].shape == (2, 5, 2)
    for layer in range(2):
        alone, _ = tx.update(stack[layer], tx.init(stack[layer]))
        np.testing.assert_allclose(out["stack"][layer], alone, atol=1e-6)
    zeros = jax.tree.map(jnp.zeros_like, x)
    out, state = tx.update(zeros, tx.init(x))
    assert not np.any(out["stack"])
    assert not np.isnan(state.right["stack"]).any()


def test_a_number_below_one_is_refused():
    with pytest.raises(ValueError, match=r"components must be an integer of at least 1, got 0"):
        zojax.zo_mopi(0.1, jax.random.key(0), components=0)
