"""Rotary positions: pairs of entries of queries and keys, turned by angles that grow with position.

Entries j and j + D/2 of a head at position p are the plane that turns by p f_j, with D entries that
turn and the frequencies f_j of `zojax.models._rope`. A product of query and key then depends on how
far apart the two are, not on where they stand.

Reference: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding",
arXiv:2104.09864.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zojax.models._rope import Rope


class Rotation(NamedTuple):
    """Cosines and sines of the angles, (batch, length, 1, D/2) each, float32."""

    cos: jax.Array
    sin: jax.Array


def rotation(
    rope: Rope | None, positions: jax.Array, width: int, length: jax.Array | None = None
) -> Rotation:
    """The turn of each position, the same in all heads.

    Args:
      rope: how fast the planes turn; None for not at all.
      positions: integers of at least 0, (batch, length).
      width: of a head, even.
      length: how many positions the sequence of each row has, integers, (batch,), which some kinds
        of `rope` look at; None for no more than those of pretraining.
    """
    if rope is None:
        nothing = jnp.zeros((*positions.shape, 1, width // 2), jnp.float32)
        return Rotation(jnp.ones_like(nothing), nothing)
    frequencies = rope.frequencies(width, length)
    if np.ndim(frequencies) > 1:
        frequencies = frequencies[:, None, None, :]
    angles = positions[..., None, None].astype(jnp.float32) * frequencies
    if rope.magnitude == 1:
        return Rotation(jnp.cos(angles), jnp.sin(angles))
    return Rotation(rope.magnitude * jnp.cos(angles), rope.magnitude * jnp.sin(angles))


def rotate(x: jax.Array, by: Rotation) -> jax.Array:
    """Turns queries or keys, (batch, length, heads, head width), in float32; keeps their dtype.

    Entries beyond those that turn stay as they are.
    """
    turned = 2 * by.cos.shape[-1]
    first, second = jnp.split(x[..., :turned].astype(jnp.float32), 2, axis=-1)
    parts = (first * by.cos - second * by.sin, second * by.cos + first * by.sin)
    result = jnp.concatenate(parts, axis=-1).astype(x.dtype)
    if turned == x.shape[-1]:
        return result
    return jnp.concatenate((result, x[..., turned:]), axis=-1)
