"""A short vector that stands for all weights, with inner products as theirs.

    s_j(x) = Σ_{i ≡ j mod M} σ_i x_i,    σ_i = ±1 by a hash of the place i,    j = 0...M-1       (1)

For any x and y, s(x)·s(y) is x·y on average over signs, and the cosine of two sketches is that of
the vectors with a standard deviation of at most about 1/√M (a count sketch: Charikar, Chen,
Farach-Colton, "Finding frequent items in data streams", 2002).

Costs one reading of the weights, and M numbers.
"""

from typing import Any

import jax
import jax.numpy as jnp

SIZE = 1024
# Odd, so that multiplying by them loses nothing modulo 2^32 (the finalizer of MurmurHash3).
_MIX = (0x85EBCA6B, 0xC2B2AE35)


def sketch(tree: Any) -> jax.Array:
    """Returns s of (1), (SIZE,), float32, of all leaves together."""
    parts = [_of_leaf(leaf, number) for number, leaf in enumerate(jax.tree.leaves(tree))]
    return sum(parts[1:], start=parts[0])


def cosine(first: jax.Array, second: jax.Array) -> jax.Array:
    """The cosine of the angle between two vectors; nan if one of them is zero."""
    return first @ second / (jnp.linalg.norm(first) * jnp.linalg.norm(second))


def _of_leaf(leaf: jax.Array, number: int) -> jax.Array:
    place = jax.lax.iota(jnp.uint32, leaf.size) + jnp.uint32(number * 0x9E3779B9 % 2**32)
    for shift, factor in zip((16, 13), _MIX, strict=True):
        place = (place ^ (place >> shift)) * jnp.uint32(factor)
    signs = 1.0 - 2.0 * (place >> 31).astype(jnp.float32)
    signed = signs * leaf.reshape(-1).astype(jnp.float32)
    return jnp.pad(signed, (0, -leaf.size % SIZE)).reshape(-1, SIZE).sum(0)
