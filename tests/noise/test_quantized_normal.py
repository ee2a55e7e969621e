"""The normal laws of 8 and 16 bits, by enumeration of the bits that they are made from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.fuzz.reference import _entries
from zojax.noise._quantized_normal import normal_8, normal_16

LAWS = {8: normal_8, 16: normal_16}
# bits: E z⁴, and the largest z
EXPECTED = {8: (2.9492, 2.8748), 16: (2.9992, 4.3250)}


def all_numbers(bits):
    """z of all levels, in the order of their bits."""
    return np.asarray(jax.jit(LAWS[bits])(jnp.arange(2**bits, dtype=jnp.uint32)))


@pytest.mark.parametrize("bits", LAWS)
def test_the_moments_are_those_that_the_law_names(bits):
    """Over all levels, which are equally likely: odd ones are 0, exactly, and E z² = 1 to 1e-6."""
    z = all_numbers(bits).astype(np.float64)
    fourth, largest = EXPECTED[bits]
    assert z.mean() == 0.0
    assert np.mean(z**3) == pytest.approx(0, abs=1e-15)
    assert np.mean(z**2) == pytest.approx(1, abs=1e-6)
    assert np.mean(z**4) == pytest.approx(fourth, abs=1e-4)
    assert z.max() == pytest.approx(largest, abs=1e-4)


@pytest.mark.parametrize("bits", LAWS)
def test_it_is_exactly_odd_and_rises(bits):
    """As in two's complement, from 0 on come the positive levels, then the others."""
    z = all_numbers(bits)
    positive, negative = np.split(z, 2)
    np.testing.assert_array_equal(positive, -negative[::-1])
    assert (np.diff(positive) > (0 if bits == 8 else -1e-6)).all()


@pytest.mark.parametrize("bits", LAWS)
def test_levels_are_those_of_double_precision(bits):
    """The definition once more, in NumPy: a fit to means between quantiles, or quantiles."""
    expected = _entries(np.arange(2**bits, dtype=np.float64), bits)
    np.testing.assert_allclose(all_numbers(bits), expected, rtol=2e-6)


@pytest.mark.parametrize("bits", LAWS)
def test_the_upper_bits_decide_nothing(bits):
    low = jnp.arange(256, dtype=jnp.uint32)
    high = low | jnp.uint32(0xABCD0000)
    z = LAWS[bits](high)
    assert z.dtype == jnp.float32
    np.testing.assert_array_equal(z, LAWS[bits](low))
