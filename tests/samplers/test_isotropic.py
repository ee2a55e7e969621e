"""The isotropic samplers have the laws that they state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE

PARAMS = {"b": jnp.zeros(2), "s": jnp.zeros(()), "w": jnp.zeros((2, 2))}
SIZE = 7
COUNT = 20_000
SAMPLERS = {
    "gaussian": zojax.gaussian(),
    "gaussian, 32 bits": zojax.gaussian(bits=32),
    "rademacher": zojax.rademacher(),
    "sphere": zojax.sphere(),
    "coordinate": zojax.coordinate(),
}


@pytest.fixture(scope="module")
def samples():
    """COUNT directions of every sampler as flat vectors, (COUNT, SIZE)."""

    @jax.jit
    def draw(key):
        flat = {}
        for name, sampler in SAMPLERS.items():
            directions, _ = sampler.draw((), key, jnp.int32(0), COUNT, PARAMS)
            z = jax.vmap(lambda direction: zojax.materialize(direction, PARAMS))(directions)
            leaves = [leaf.reshape(COUNT, -1) for leaf in jax.tree.leaves(z)]
            flat[name] = jnp.concatenate(leaves, axis=1)
        return flat

    return jax.tree.map(lambda z: np.asarray(z, np.float64), draw(jax.random.key(1)))


@pytest.mark.parametrize("name", SAMPLERS)
def test_covariance_is_c_times_the_identity(samples, name):
    """5 standard errors; that of the mean of z_i z_j is at most sqrt(E[z_i² z_j²] / COUNT)."""
    z = samples[name]
    c = SAMPLERS[name].covariance(PARAMS)
    diagonal = np.concatenate(
        jax.tree.leaves(jax.tree.map(lambda leaf, c: np.full(leaf.size, c), PARAMS, c))
    )
    products = z[:, :, None] * z[:, None, :]
    error = np.abs(products.mean(0) - np.diag(diagonal))
    assert (error <= 5 * np.sqrt((products**2).mean(0) / COUNT) + 1e-6).all()


@pytest.mark.parametrize("name", ["gaussian", "rademacher", "sphere"])
def test_mean_is_zero(samples, name):
    """5 standard errors of the mean of entries of variance 1."""
    assert np.abs(samples[name].mean(0)).max() <= 5 / np.sqrt(COUNT)


def test_fourth_moment_of_the_gaussian_is_three(samples):
    """5 standard errors; the variance of z⁴ is 105 - 9 = 96."""
    assert np.abs((samples["gaussian, 32 bits"] ** 4).mean(0) - 3).max() <= 5 * np.sqrt(96 / COUNT)


def test_rademacher_is_every_sign_vector_equally_often(samples):
    """All 2^7 vectors appear, each within 5 standard errors of its share of the samples."""
    vectors, counts = np.unique(samples["rademacher"], axis=0, return_counts=True)
    share = 1 / 2**SIZE
    assert set(np.unique(vectors)) == {-1.0, 1.0}
    assert len(vectors) == 2**SIZE
    assert np.abs(counts / COUNT - share).max() <= 5 * np.sqrt(share * (1 - share) / COUNT)


def test_sphere_has_the_norm_of_the_square_root_of_d(samples):
    norms = np.linalg.norm(samples["sphere"], axis=1)
    np.testing.assert_allclose(norms, np.sqrt(SIZE), rtol=1e-6)


def test_sphere_is_the_gaussian_direction_of_the_same_key_normalized(samples):
    gaussian = samples["gaussian"]
    expected = np.sqrt(SIZE) * gaussian / np.linalg.norm(gaussian, axis=1, keepdims=True)
    np.testing.assert_allclose(samples["sphere"], expected, rtol=1e-5)


def test_coordinate_has_one_entry_and_visits_all_equally_often(samples):
    """That entry is sqrt(d); each place has its share within 5 standard errors."""
    z = samples["coordinate"]
    assert ((z != 0).sum(1) == 1).all()
    np.testing.assert_allclose(z[z != 0], np.sqrt(SIZE), rtol=1e-6)
    share = 1 / SIZE
    error = np.abs((z != 0).mean(0) - share)
    assert error.max() <= 5 * np.sqrt(share * (1 - share) / COUNT)


def test_signs_are_independent_across_words():
    """A row of 40 signs spans two random words: no two of its columns are correlated.

    5 standard errors of a mean of 4096 products of signs.
    """
    params = jnp.zeros((4096, 40))
    draw = jax.jit(zojax.rademacher().draw, static_argnums=3)
    directions, _ = draw((), jax.random.key(2), jnp.int32(0), 1, params)
    one = jax.tree.map(lambda array: array[0], directions)
    z = np.asarray(zojax.materialize(one, params), np.float64)
    correlation = z.T @ z / len(z) - np.eye(40)
    assert np.abs(correlation).max() <= 5 / np.sqrt(len(z))


def test_the_norm_of_a_direction_on_the_sphere_needs_no_direction():
    params = {f"w{i}": jax.ShapeDtypeStruct((1024, 2048), jnp.float32) for i in range(4)}
    params["cube"] = jax.ShapeDtypeStruct((5, 512, 999), jnp.float32)
    sampler = zojax.sphere()

    def draw(params):
        return sampler.draw((), jax.random.key(0), jnp.int32(0), 3, params)[0]

    program = jax.jit(draw).lower(params).compile(BUFFERS_AS_USERS_HAVE)
    size = sum(leaf.size for leaf in params.values())
    assert program.memory_analysis().temp_size_in_bytes < 0.8 * 4 * size
