"""Whose turn it is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax.samplers.blocks._order import active_block

COUNT = 5


@functools.partial(jax.jit, static_argnums=(0, 2))
def turns(order, key, steps):
    return jax.vmap(lambda turn: active_block(order, key, turn, COUNT))(jnp.arange(steps))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("cyclic", [0, 1, 2, 3, 4, 0, 1]),
        ("descending", [4, 3, 2, 1, 0, 4, 3]),
        ("flip_flop", [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0, 1]),
        ((3, 0, 0), [3, 0, 0, 3, 0]),
    ],
    ids=["cyclic", "descending", "flip_flop", "a sequence"],
)
def test_a_fixed_order(order, expected, key):
    found = turns(order, key, len(expected))
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, expected)


def test_a_permutation_has_every_block_once_in_each_cycle_and_is_shuffled_anew(key):
    """20 cycles of 120 possible orders: at least 10 differ, and another key has others."""
    cycles = np.asarray(turns("permutation", key, 20 * COUNT)).reshape(20, COUNT)
    np.testing.assert_array_equal(np.sort(cycles), np.tile(np.arange(COUNT), (20, 1)))
    assert len(np.unique(cycles, axis=0)) >= 10
    other = turns("permutation", jax.random.key(1), 20 * COUNT).reshape(20, COUNT)
    assert (other != cycles).any(axis=1).sum() >= 10


def test_random_blocks_are_uniform_and_independent(key):
    """4000 turns: each block, and each pair of successive blocks, within 5 standard errors."""
    found = np.asarray(turns("random", key, 4000))
    pairs = COUNT * found[:-1] + found[1:]
    for values, kinds in ((found, COUNT), (pairs, COUNT**2)):
        share = np.bincount(values, minlength=kinds) / len(values)
        assert np.abs(share - 1 / kinds).max() <= 5 * np.sqrt(1 / kinds / len(values))


@pytest.mark.parametrize("order", ["shuffled", (), (0, -1), (0, 1.0), (True,), 3])
def test_an_order_that_is_none_is_refused(order):
    with pytest.raises(ValueError, match=r"order must be one of cyclic, descending, random"):
        zojax.blocks(zojax.gaussian(), order=order)


def test_a_block_that_is_not_there_is_refused_when_params_are_known():
    sampler = zojax.blocks(zojax.gaussian(), {"a": "one", "b": "two"}, order=(0, 2))
    message = r"order names block 2, but params have 2 blocks, 0\.\.\.1"
    with pytest.raises(ValueError, match=message):
        sampler.init({"a": jnp.zeros(2), "b": jnp.zeros(2)})
