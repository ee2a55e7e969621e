"""Data for the operations, and what they do to keep numbers and shapes small.

Every operation is continuous with a derivative of about 1, so that a rounding of its operands stays
one of its result: what decides by comparison (sort, argmax, where) gives the same value on either
side of a tie.
"""

import math
from random import Random

import jax
import jax.numpy as jnp
import numpy as np

SIZES = (1, 2, 3, 4)
_MOST_ENTRIES = 300


def data(shape, like: jax.Array, dice: Random) -> jax.Array:
    """Numbers of order 1 without a symmetry that would hide a permutation; no param is in them."""
    count = math.prod(shape)
    values = np.sin(1.0 + dice.randrange(100) + 1.3 * np.arange(count)).reshape(shape)
    array = jnp.asarray(values.astype(like.dtype))
    # Both a constant of the program and a result of it.
    return array if dice.random() < 0.6 else jnp.cos(array)


def index(count: int, dice: Random, dtype=jnp.int32) -> jax.Array:
    """A number below `count` (0 if that is 0) that the program works out."""
    at = dice.randrange(max(count, 1))
    return jnp.argmax(jnp.arange(max(count, 1)) == at).astype(dtype)


def indices(count: int, shape, dice: Random, outside: int = 0) -> np.ndarray:
    """Numbers below `count`, and up to `outside` away from that."""
    low, high = -outside, max(count, 1) + outside
    entries = [dice.randrange(low, high) for _ in range(math.prod(shape))]
    return np.array(entries, np.int32).reshape(shape)


def soft(x: jax.Array) -> jax.Array:
    """Keeps numbers small, and different ones apart."""
    return x / (1 + jnp.abs(x))


def small(x: jax.Array) -> jax.Array:
    """At most so many entries and axes, and a floating dtype."""
    if x.ndim > 5:
        x = x.reshape(-1, *x.shape[-4:]) if x.size else x.reshape(0)
    if x.size > _MOST_ENTRIES:
        x = x.reshape(-1)[:_MOST_ENTRIES]
    return x


def normalized(total: jax.Array, count: int) -> jax.Array:
    """A sum of `count` numbers of order 1."""
    return soft(total / math.sqrt(max(count, 1)))


def with_ndim(w: jax.Array, ndim: int, dice: Random) -> jax.Array:
    """The same entries with so many axes: axes of length 1 inserted, or leading ones joined."""
    while w.ndim < ndim:
        w = jnp.expand_dims(w, dice.randrange(w.ndim + 1))
    while w.ndim > ndim:
        w = w.reshape(w.shape[0] * w.shape[1], *w.shape[2:]) if w.ndim > 1 else w.sum()
    return w


def promoted(*arrays: jax.Array) -> list[jax.Array]:
    """Arrays of one dtype."""
    dtype = jnp.result_type(*arrays)
    return [array if array.dtype == dtype else array.astype(dtype) for array in arrays]


def broadcastable(w: jax.Array, u: jax.Array) -> jax.Array:
    """`u`, or its sum where it does not broadcast against `w`."""
    try:
        np.broadcast_shapes(w.shape, u.shape)
    except ValueError:
        return normalized(u.sum(), u.size)
    return u


def axis_of(w: jax.Array, dice: Random) -> int:
    """One of the axes, counted from either end."""
    axis = dice.randrange(w.ndim)
    return axis if dice.random() < 0.7 else axis - w.ndim
