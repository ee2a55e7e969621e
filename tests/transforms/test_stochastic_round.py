"""Rounding at random: its law by closed forms and by counting, and its edges."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zojax

NARROW = [jnp.bfloat16, jnp.float16]
COUNT = 100_000
ALL_BITS = jnp.arange(1 << 16, dtype=jnp.int32)


def spacing(dtype):
    """Of the numbers from 1 to 2."""
    return float(jnp.finfo(dtype).eps)


def neighbors(x, dtype):
    """The numbers of the dtype at and below x, and at and above, float64; by its own nextafter."""
    near = np.float32(x).astype(dtype)
    if float(near) == x:
        return float(near), float(near)
    toward = np.array(np.inf if float(near) < x else -np.inf, dtype)
    return tuple(sorted((float(near), float(np.nextafter(near, toward)))))


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("sign", [1, -1])
def test_as_many_of_all_random_words_round_up_as_equation_1_says(dtype, sign):
    """Counted over all 2^16 words, so without any error: by normal, by subnormal numbers."""
    eps, small = spacing(dtype), float(jnp.finfo(dtype).smallest_subnormal)
    shares = [0, 1 / 8, 1 / 2, 1 - 1 / 1024]
    starts = {1.0: eps, 1.5: eps, 2 - eps: eps, 96.0: 64 * eps, 2.0**-10: eps / 1024}
    starts |= {3 * small: small, 0.0: small} if dtype == jnp.float16 else {}
    for start, step in starts.items():
        for share in shares:
            x = jnp.full(ALL_BITS.shape, sign * (start + share * step), jnp.float32)
            rounded = np.asarray(zojax.stochastic_round(x, dtype, ALL_BITS), np.float64)
            assert set(rounded) <= {sign * start, sign * (start + step)}
            assert (rounded != sign * start).mean() == share


@pytest.mark.parametrize("dtype", NARROW)
def test_the_mean_of_many_is_exact_within_five_standard_errors(dtype, key):
    """Of 10^5 roundings of each of 24 numbers, by the library's own random words."""
    tiny = float(jnp.finfo(jnp.float16).smallest_subnormal)
    values = np.geomspace(1e-3, 3e4, 10, dtype=np.float32) * np.float32(1.2345)
    values = np.concatenate([values, np.float32([0.3 * tiny, 7.7 * tiny])])
    values = np.concatenate([values, -values])
    x = jnp.zeros(COUNT, dtype)
    tx = zojax.round_stochastically(optax.identity(), key)

    @jax.jit
    def rounded(value):
        updates, _ = tx.update(jnp.full(COUNT, value), tx.init(x), x)
        return (x + updates).astype(dtype)

    for value in values:
        got = np.asarray(rounded(value), np.float64)
        low, high = neighbors(float(value), dtype)
        assert set(got) <= {low, high}
        share = (float(value) - low) / (high - low)
        deviation = (high - low) * np.sqrt(share * (1 - share) / COUNT)
        assert abs(got.mean() - float(value)) <= 5 * deviation


@pytest.mark.parametrize("dtype", NARROW)
def test_what_the_dtype_holds_stays(dtype):
    """Every one of its 2^16 numbers, with the largest random word; a zero keeps its sign."""
    words = np.arange(1 << 16, dtype=np.uint16)
    held = words.view(ml_dtypes.bfloat16 if dtype == jnp.bfloat16 else np.float16)
    held = held[~np.isnan(held.astype(np.float32))]
    # XLA on a CPU flushes numbers below the smallest normal float32.
    held = held[(held == 0) | (np.abs(held.astype(np.float32)) >= np.finfo(np.float32).tiny)]
    bits = jnp.full(held.shape, -1, jnp.int32)
    rounded = zojax.stochastic_round(jnp.asarray(held.astype(np.float32)), dtype, bits)
    np.testing.assert_array_equal(np.asarray(rounded).view(np.uint16), held.view(np.uint16))


@pytest.mark.parametrize("dtype", NARROW)
def test_beyond_the_largest_number_it_is_rounding_to_nearest(dtype):
    largest = float(jnp.finfo(dtype).max)
    step = largest - float(np.nextafter(np.array(largest, dtype), np.array(0, dtype)))
    x = jnp.array([largest + 0.4 * step, largest + 0.6 * step, jnp.inf], jnp.float32)
    x = jnp.concatenate([x, -x])
    for word in (0, 0xFFFF):
        rounded = zojax.stochastic_round(x, dtype, jnp.full(x.shape, word, jnp.int32))
        expected = np.array([largest, np.inf, np.inf, -largest, -np.inf, -np.inf])
        np.testing.assert_array_equal(np.asarray(rounded, np.float64), expected)
    below = jnp.float32(largest - 0.5 * step)
    assert zojax.stochastic_round(below, dtype, jnp.int32(0xFFFF)) == largest


@pytest.mark.parametrize("dtype", NARROW)
def test_nan_stays_nan(dtype):
    """Also those whose payload lies in what is dropped, or would carry into the sign."""
    words = np.array([0x7F800001, 0x7FFFFFFF, 0xFF800001], np.uint32)
    x = jax.lax.bitcast_convert_type(jnp.asarray(words), jnp.float32)
    rounded = zojax.stochastic_round(x, dtype, jnp.full(x.shape, 0xFFFF, jnp.int32))
    assert jnp.isnan(rounded).all()


@settings(deadline=None)
@given(
    x=st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False),
    word=st.integers(0, 0xFFFF),
    dtype=st.sampled_from(NARROW),
)
def test_a_rounding_is_one_of_the_two_neighbors(x, word, dtype):
    if abs(x) > float(jnp.finfo(dtype).max):
        return
    rounded = float(zojax.stochastic_round(jnp.float32(x), dtype, jnp.int32(word)))
    assert rounded in neighbors(x, dtype)
