"""Keys and words are those of JAX's ciphers, whatever the form in which they are computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32

from zojax.noise import _generator

GENERATORS = ["threefry2x32", "threefry4x32", "philox4x32"]
NUMBERS = np.array([0, 1, 7, 2**31 - 1, 2**32 - 1], np.uint32)


def keys_of(generator):
    return jax.random.split(jax.random.key(3, impl=generator), len(NUMBERS))


def words(keys):
    return np.asarray(jax.random.key_data(keys))


@pytest.mark.parametrize("generator", GENERATORS)
def test_fold_in_is_that_of_jax(generator):
    keys = keys_of(generator)
    expected = [jax.random.fold_in(key, n) for key, n in zip(keys, NUMBERS, strict=True)]
    of_first = [jax.random.fold_in(keys[0], n) for n in NUMBERS]
    np.testing.assert_array_equal(
        words(_generator.fold_in(keys, NUMBERS)), words(jnp.stack(expected))
    )
    np.testing.assert_array_equal(
        words(_generator.fold_in(keys[0], NUMBERS)), words(jnp.stack(of_first))
    )
    np.testing.assert_array_equal(
        words(_generator.fold_in(keys[1], 7)), words(jax.random.fold_in(keys[1], 7))
    )


@pytest.mark.parametrize("one_key", [True, False])
def test_words_of_the_default_generator_are_those_of_the_cipher(one_key):
    """The words of column j of call i are the cipher of the counter (i, j), by JAX's own form."""
    keys = keys_of("threefry2x32")
    found = _generator.call_words(keys[0] if one_key else keys, NUMBERS, 6)
    for call, number in enumerate(NUMBERS):
        counter = np.concatenate([np.full(6, number), np.arange(6)]).astype(np.uint32)
        key = words(keys[0] if one_key else keys[call])
        both = threefry_2x32(key, jnp.asarray(counter))
        np.testing.assert_array_equal(found[0][call], both[:6])
        np.testing.assert_array_equal(found[1][call], both[6:])


def test_columns_can_be_drawn_from_any_one_on():
    key = keys_of("threefry2x32")[0]
    whole = _generator.call_words(key, NUMBERS, 9)
    part = _generator.call_words(key, NUMBERS, 4, jnp.int32(5))
    for one, other in zip(part, whole, strict=True):
        np.testing.assert_array_equal(one, other[:, 5:])


@pytest.mark.parametrize("generator", GENERATORS[1:])
def test_words_of_other_generators_are_those_of_folded_keys(generator):
    keys = keys_of(generator)
    numbers = NUMBERS[:4].reshape(2, 2)
    found = _generator.call_words(keys[:4].reshape(2, 2), numbers, 6)
    for place in np.ndindex(2, 2):
        key = keys[:4].reshape(2, 2)[place]
        expected = jax.random.bits(jax.random.fold_in(key, numbers[place]), (2, 6))
        np.testing.assert_array_equal(found[0][place], expected[0])
        np.testing.assert_array_equal(found[1][place], expected[1])
