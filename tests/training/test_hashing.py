"""Hashes of arrays tell the bits of trees apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from zojax.training import fingerprint


def scrambled(words):
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        words = (words ^ (words >> np.uint32(shift))) * np.uint32(factor)
    return words ^ (words >> np.uint32(16))


def in_words(words):
    """The definition, in numpy, of words of 32 bits or fewer."""
    place = scrambled(np.arange(words.size, dtype=np.uint32))
    each = scrambled(words.reshape(-1).astype(np.uint32) * (2 * place + np.uint32(1)))
    return each.sum(dtype=np.uint32)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int8", "int32"])
def test_a_hash_is_that_of_the_definition(dtype):
    array = jax.random.normal(jax.random.key(0), (5, 7)).astype(dtype)
    words = np.asarray(array).view(f"uint{8 * array.dtype.itemsize}")
    np.testing.assert_array_equal(fingerprint({"a": array, "b": array}), [in_words(words)] * 2)


def test_every_bit_and_every_place_counts():
    array = jnp.arange(1.0, 7.0).reshape(2, 3)
    (whole,) = fingerprint(array)
    words = np.asarray(array).view(np.uint32)
    for place in range(6):
        for bit in range(32):
            changed = words.copy()
            changed[divmod(place, 3)] ^= np.uint32(1 << bit)
            assert in_words(changed) != whole
    assert fingerprint(array.T.reshape(2, 3))[0] != whole


def test_changes_of_several_words_do_not_cancel():
    """Two or all signs, a number moved from one place to another, the highest bits of each pair."""
    array = jnp.arange(1.0, 7.0)
    others = [array.at[:2].multiply(-1), -array, array.at[0].set(2.0).at[1].set(1.0)]
    words = np.asarray(array).view(np.uint32)
    for first in range(6):
        for second in range(first):
            for bit in range(24, 32):
                changed = words.copy()
                changed[[first, second]] ^= np.uint32(1 << bit)
                others.append(jnp.asarray(changed.view(np.float32)))
    found = {int(fingerprint(other)[0]) for other in (array, *others)}
    assert len(found) == len(others)  # the signs of the first two are there twice
    assert fingerprint(-0.0 * array)[0] != fingerprint(0.0 * array)[0]


def test_hashes_do_not_depend_on_the_mesh_and_nothing_has_none():
    array = jax.random.normal(jax.random.key(0), (8, 4))
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    lies = jax.device_put(array, jax.sharding.NamedSharding(mesh, P("data")))
    assert fingerprint(lies) == fingerprint(array)
    assert fingerprint(()).shape == (0,)
