"""The normal law, by enumeration of the words that it is made from."""

from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np

from zojax.noise._normal import normal

LEVELS = 1 << 24  # the upper bits of a word that decide


def all_normals():
    """z of every level, in the order of the words."""
    return np.asarray(jax.jit(lambda: normal(jnp.arange(LEVELS, dtype=jnp.uint32) << 8))())


def test_the_moments_are_those_of_the_normal_law():
    """Over all levels, which are equally likely: 0, 1, 0, 3; no level is missing from a tail."""
    z = all_normals().astype(np.float64)
    assert z.mean() == 0.0
    np.testing.assert_allclose(np.mean(z**2), 1, rtol=2e-6)
    np.testing.assert_allclose(np.mean(z**4), 3, rtol=2e-5)
    assert np.isfinite(z).all()
    assert 5.4 < z.max() < 5.5


def test_it_is_the_inverse_of_the_distribution_function():
    """Tolerance 1e-6: float32, against the standard library in double precision."""
    step = 4099  # prime: levels of all sizes, besides those of both tails and of the middle
    edges = [0, 1, 2, 100, LEVELS // 2 - 2, LEVELS // 2 - 1]
    u = np.array([*range(0, LEVELS // 2, step), *edges])  # negative numbers, by their levels
    inverse = NormalDist().inv_cdf
    expected = [inverse((level + 0.5) / LEVELS) for level in u]
    found = all_normals()[LEVELS // 2 + u]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_it_is_exactly_odd():
    z = all_normals()
    positive, negative = z[: LEVELS // 2], z[LEVELS // 2 :]
    np.testing.assert_array_equal(positive, -negative[::-1])
    assert (np.diff(positive) >= -1e-6).all()


def test_the_lower_bits_decide_nothing():
    words = jnp.array([0x12345600, 0x123456FF, 0x89ABCD00, 0x89ABCD7F], jnp.uint32)
    z = normal(words)
    assert z.dtype == jnp.float32
    assert z[0] == z[1]
    assert z[2] == z[3]
