"""The orthogonalizing link: what it does to singular values, and to nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

RNG = np.random.default_rng(5)
SHAPES = {"wide": (2, 3, 5), "tall": (2, 5, 3), "square": (4, 4), "row": (1, 6)}


def with_values(shape, values):
    """(U, V, U diag(values) Vᵀ), float64; batch axes lead."""
    size = min(shape[-2:])
    u, v = (np.linalg.qr(RNG.normal(size=(*shape[:-2], n, size)))[0] for n in shape[-2:])
    return u, v, (u * values[:size]) @ v.swapaxes(-1, -2)


def apply(x, *args, **kwargs):
    tx = zojax.orthogonalize(*args, **kwargs)
    return jax.jit(lambda x: tx.update(x, tx.init(x))[0])(x)


def quintic(s):
    return 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5


@pytest.mark.parametrize("steps", [1, 5])
def test_newton_schulz_is_its_polynomial_of_every_singular_value(steps, x64):
    """With X = U S Vᵀ the result is U φ(φ(...(S / (‖S‖ + eps)))) Vᵀ, whichever side is short."""
    values = np.array([3.0, 1.0, 0.25, 0.1])
    parts = {name: with_values(shape, values) for name, shape in SHAPES.items()}
    got = apply({name: jnp.asarray(x) for name, (_, _, x) in parts.items()}, steps=steps, eps=0.5)
    for name, (u, v, x) in parts.items():
        s = values[: u.shape[-1]]
        s = s / (np.linalg.norm(s) + 0.5)
        for _ in range(steps):
            s = quintic(s)
        np.testing.assert_allclose(got[name], (u * s) @ v.swapaxes(-1, -2), atol=1e-12)
        assert got[name].shape == x.shape


def test_newton_schulz_brings_singular_values_near_one():
    """Five steps: 0.01 ... 1 to 0.68 ... 1.14, 0.001 to 0.47. The other value makes the norm 1."""
    small = np.concatenate([[1e-3], np.geomspace(0.01, 1, 400, endpoint=False)])
    pairs = np.stack([small, np.sqrt(1 - small**2)], -1)
    out = apply(jnp.asarray(pairs[:, :, None] * np.eye(2), jnp.float32))
    values = np.asarray(jnp.diagonal(out, axis1=1, axis2=2))
    assert values[0, 0] == pytest.approx(0.47, abs=0.005)
    assert 0.68 <= values[1:].min() <= 0.69
    assert 1.13 <= values[1:].max() <= 1.14


def test_polar_is_the_factor_without_singular_values(x64):
    """U Vᵀ, of the nonzero part alone where the matrix has not full rank."""
    full = np.array([3.0, 1.0, 0.25, 1e-3])
    for values in (full, np.array([3.0, 1.0, 0.0, 0.0])):
        parts = {name: with_values(shape, values) for name, shape in SHAPES.items()}
        got = apply({name: jnp.asarray(x) for name, (_, _, x) in parts.items()}, "polar")
        for name, (u, v, _) in parts.items():
            kept = (values > 0)[: u.shape[-1]]
            np.testing.assert_allclose(got[name], (u * kept) @ v.swapaxes(-1, -2), atol=1e-9)


def test_polar_is_the_steepest_step_of_its_spectral_norm(x64):
    """⟨X, U Vᵀ⟩ is the nuclear norm, the largest that a matrix of spectral norm 1 can reach."""
    x = RNG.normal(size=(3, 5))
    step = apply({"x": jnp.asarray(x)}, "polar")["x"]
    nuclear = np.linalg.svd(x, compute_uv=False).sum()
    np.testing.assert_allclose(np.sum(x * step), nuclear, rtol=1e-12)


@pytest.mark.parametrize("method", ["newton_schulz", "polar"])
def test_lifting_and_orthogonalizing_change_places(method, x64):
    """The factor of P X is P times the factor of X for orthonormal columns P."""
    p = np.linalg.qr(RNG.normal(size=(7, 3)))[0]
    x = RNG.normal(size=(3, 5))
    got = apply({"lifted": jnp.asarray(p @ x), "x": jnp.asarray(x)}, method)
    np.testing.assert_allclose(got["lifted"], p @ got["x"], atol=1e-9)


@pytest.mark.parametrize("method", ["newton_schulz", "polar"])
def test_what_is_lost_and_what_is_left(method):
    """The scale is lost; zero stays zero, also within a batch; vectors and holes pass."""
    x = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)
    tree = {
        "x": x,
        "scaled": 1e4 * x,
        "negative": -x,
        "zero": jnp.zeros((3, 4)),
        "batch": jnp.stack([x, 0 * x]),
        "vector": x[0],
        "number": x[0, 0],
        "hole": optax.MaskedNode(),
    }
    got = apply(tree, method)
    np.testing.assert_allclose(got["scaled"], got["x"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(got["negative"], -got["x"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(got["zero"], 0)
    np.testing.assert_allclose(got["batch"][0], got["x"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(got["batch"][1], 0)
    np.testing.assert_array_equal(got["vector"], x[0])
    assert got["number"] == x[0, 0]
    assert got["hole"] == optax.MaskedNode()
    assert zojax.orthogonalize(method).init(tree) == optax.EmptyState()


@pytest.mark.parametrize("method", ["newton_schulz", "polar"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_dtypes_are_only_rounded_in_the_end(method, dtype):
    """In float16 the norm of this matrix is infinite, and its square too in its own dtype."""
    x = jnp.asarray(4000 * RNG.choice([-1.0, 1.0], size=(32, 64)), dtype)
    got = apply({"narrow": x, "wide": x.astype(jnp.float32)}, method)
    assert got["narrow"].dtype == x.dtype
    assert got["wide"].dtype == jnp.float32
    assert jnp.abs(got["wide"]).max() > 0.05
    np.testing.assert_array_equal(got["narrow"], got["wide"].astype(dtype))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "svd"}, "method must be one of newton_schulz, polar, got 'svd'"),
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"eps": 0.0}, "eps must be a finite number above 0, got 0.0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        zojax.orthogonalize(**arguments)
