"""Hashes of arrays, computed where they lie."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# Odd, so that multiplying by it is one to one modulo 2^32.
_MIX = (0x7FEB352D, 0x846CA68B)


def hash_array(array: jax.Array) -> jax.Array:
    """A hash of an array's bits and their places, shape (), uint32; for use under jit.

    Of the array in words of 32 bits or fewer, w_0, w_1, …,

        h = Σ_i m(w_i (2 m(i) + 1))  mod 2^32,    m: a fixed scrambling, one to one.

    Since the factors are odd, a change within one word, such as a single bit, always changes h.
    Changes of several words escape with a probability of about 2^-32. (Without the outer m the
    signs of two weights would change unseen: twice 2^31 is 0.)
    """
    words = _words(array)
    place = _scrambled(jax.lax.iota(jnp.uint32, words.size).reshape(words.shape))
    return jnp.sum(_scrambled(words * (2 * place + 1)), dtype=jnp.uint32)


def _scrambled(words: jax.Array) -> jax.Array:
    for shift, factor in zip((16, 15), _MIX, strict=True):
        words = (words ^ (words >> shift)) * jnp.uint32(factor)
    return words ^ (words >> 16)


def fingerprint(tree: Any, *, rounded: bool = False) -> np.ndarray:
    """The hash of every leaf of a tree, shape (leaves,), uint32; see `hash_array`.

    Trees with the same hashes are the same bit by bit, but for about one in 2^32 of those that
    differ in several words. They do not depend on how the arrays lie on devices. One reading of the
    arrays, no copy. Of several processes all have to ask, and all get the answer. The host waits
    for the arrays.

    Args:
      tree: of arrays, such as params.
      rounded: whether real entries count as rounded to multiples of 2^-23 = 1.2e-7, or to their own
        precision if that is coarser: for whether they have moved to speak of.
    """
    leaves = jax.tree.leaves(tree)
    if not leaves:
        return np.zeros(0, np.uint32)
    meshes = {leaf.sharding.mesh for leaf in leaves if isinstance(leaf.sharding, NamedSharding)}
    return np.asarray(_program(*meshes, rounded=rounded)(leaves))


@functools.lru_cache(maxsize=16)
def _program(
    mesh: Mesh | None = None, *, rounded: bool
) -> Callable[[Sequence[jax.Array]], jax.Array]:
    """From arrays to their hashes, whole on every device."""
    everywhere = None if mesh is None else NamedSharding(mesh, PartitionSpec())

    def hashes(arrays: Sequence[jax.Array]) -> jax.Array:
        return jnp.stack([hash_array(_rounded(a) if rounded else a) for a in arrays])

    return jax.jit(hashes, out_shardings=everywhere)


def _rounded(array: jax.Array) -> jax.Array:
    """Float32 numbers from 1 to 2 are multiples of 2^-23."""
    return array.astype(jnp.float32) + 1 if jnp.issubdtype(array.dtype, jnp.floating) else array


def _words(array: jax.Array) -> jax.Array:
    """The bits of an array, as unsigned integers of 32 bits."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        array = jnp.stack([array.real, array.imag])
    if array.dtype == jnp.bool_:
        return array.astype(jnp.uint32)
    bits = min(8 * array.dtype.itemsize, 32)
    return jax.lax.bitcast_convert_type(array, f"uint{bits}").astype(jnp.uint32)
