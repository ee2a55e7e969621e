"""Keys and random words, in a form that fuses with what is made of them.

They come from the generators of `jax.random`. The rounds of the default one, threefry2x32, are
written out here: XLA's own form is a loop on CPU and a call on GPU, whose results are arrays of the
size of the noise, while written out a word is made where it is used, in registers. Its counter has
two words, which take the number of a call and the column, so that calls need no keys of their own.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zojax._typing import Key

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def fold_in(keys: Key, data: ArrayLike) -> Key:
    """`jax.random.fold_in` of one key, or of each of several, with data of shape () or (n,)."""
    data = jnp.asarray(data)
    if not _is_threefry2x32(keys):
        fold = jax.random.fold_in
        if data.ndim:
            fold = jax.vmap(fold, in_axes=(0 if keys.ndim else None, 0))
        return fold(keys, data)
    words = jax.random.key_data(keys)
    folded = _threefry2x32(
        words[..., 0], words[..., 1], jnp.uint32(0), jax.lax.convert_element_type(data, jnp.uint32)
    )
    return jax.random.wrap_key_data(jnp.stack(folded, -1), impl=jax.random.key_impl(keys))


def call_words(
    keys: Key, calls: jax.Array, width: int, first: jax.Array | int | None = None
) -> tuple[jax.Array, jax.Array]:
    """The two random words of each call of the cipher, uint32, (*calls, width) each.

    Those of column j of call i are the cipher of the counter (i, j); with another generator than
    threefry2x32, which has no such counter, column j of `jax.random.bits` of fold_in(key, i), with
    the shape (2, width).

    Args:
      keys: one for all calls, or one for each.
      calls: their numbers, of any shape.
      width: columns.
      first: number of the first column, for a part of them. Only where `has_columns` says so.
    """
    if not has_columns(keys):
        keys = keys.reshape(-1) if keys.ndim else keys
        of_call = jax.vmap(lambda key: jax.random.bits(key, (2, width), jnp.uint32))
        words = of_call(fold_in(keys, calls.reshape(-1)))
        low, high = (words[:, word].reshape(*calls.shape, width) for word in range(2))
        return low, high
    words = jax.random.key_data(keys)
    call = jax.lax.convert_element_type(calls, jnp.uint32)[..., None]
    column = jnp.arange(width, dtype=jnp.uint32)
    if first is not None:
        column = column + jax.lax.convert_element_type(first, jnp.uint32)
    return _threefry2x32(words[..., :1], words[..., 1:], call, column)


def has_columns(keys: Key) -> bool:
    """Whether a column can be drawn without those before it."""
    return _is_threefry2x32(keys)


def _is_threefry2x32(keys: Key) -> bool:
    return str(jax.random.key_impl(keys)) == "threefry2x32"


@jax.jit
def _threefry2x32(k0, k1, x0, x1) -> tuple[jax.Array, jax.Array]:
    """The block cipher with 20 rounds: words of a key and of a counter, to two random words.

    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 5.2.
    """
    schedule = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0, x1 = x0 + k0, x1 + k1
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = ((x1 << np.uint32(rotation)) | (x1 >> np.uint32(32 - rotation))) ^ x0
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1
