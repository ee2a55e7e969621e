"""What the attention of all families has in common: who sees whom, and what is remembered.

Keys are those of the sequence, and before them those of two kinds that may be absent: a prefix
(trained keys and values, the same for every row of a batch) and a memory (the keys and values of
the tokens before, for generation).
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp


class Memory(NamedTuple):
    """Keys and values of one layer in slots, some still empty; of all layers with an axis before.

    Attributes:
      key: (batch, slots, heads, head width).
      value: the same shape.
    """

    key: jax.Array
    value: jax.Array

    def at(self, slot: jax.Array, key: jax.Array, value: jax.Array) -> "Memory":
        """With keys and values written to the slots from `slot` on."""
        start = (0, slot, 0, 0)
        return Memory(
            jax.lax.dynamic_update_slice(self.key, key.astype(self.key.dtype), start),
            jax.lax.dynamic_update_slice(self.value, value.astype(self.value.dtype), start),
        )


class Prefix(Protocol):
    """Trained keys and values before those of the sequence, (length, heads, head width) each."""

    past_key: jax.Array
    past_value: jax.Array


class Sight(NamedTuple):
    """Who sees whom, the same in all layers.

    Attributes:
      visible: bool, (batch, 1, query length, key length), the keys being the sequence's, or all
        slots where there is a memory; a prefix is always visible.
      slot: shape (), int32: where in the memory the sequence is written; None without memory.
    """

    visible: jax.Array
    slot: jax.Array | None = None


def everything(mask: jax.Array) -> Sight:
    """Every position sees all tokens of its row; `mask` is (batch, length), 0 for padding."""
    batch, length = mask.shape
    tokens = mask.astype(bool)[:, None, None, :]
    return Sight(jnp.broadcast_to(tokens, (batch, 1, length, length)))


def causal(mask: jax.Array) -> Sight:
    """Every position sees the tokens up to and including itself."""
    length = mask.shape[1]
    past = jnp.tril(jnp.ones((length, length), bool))
    return Sight(past & mask.astype(bool)[:, None, None, :])


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    sight: Sight,
    *,
    prefix: Prefix | None = None,
    memory: Memory | None = None,
    scale: float | None = None,
) -> tuple[jax.Array, Memory | None]:
    """Scaled dot-product attention with the softmax in float32.

    Args:
      query: (batch, length, query heads, head width).
      key: (batch, length, heads, head width); heads divides query heads, and each serves a group
        of those.
      value: the same shape.
      sight: who sees whom. A query that sees nothing gets the mean of all values, which is finite.
      prefix: of this layer.
      memory: of this layer.
      scale: of the products; None for 1/√(head width).

    Returns:
      The mixed values, (batch, length, query heads · head width), and the memory with the sequence
      in it.
    """
    if memory is not None:
        memory = memory.at(sight.slot, key, value)
        key, value = memory.key.astype(key.dtype), memory.value.astype(value.dtype)
    visible = sight.visible
    if prefix is not None:
        key, value = _before(prefix.past_key[...], key), _before(prefix.past_value[...], value)
        width = ((0, 0), (0, 0), (0, 0), (prefix.past_key.shape[-3], 0))
        visible = jnp.pad(visible, width, constant_values=True)
    mixed = _mixed(query, key, value, visible, scale)
    return mixed.reshape(*mixed.shape[:-2], -1), memory


def heads(x: jax.Array, count: int) -> jax.Array:
    """Splits the last axis of (batch, length, count · width) into heads."""
    return x.reshape(*x.shape[:-1], count, -1)


def prefix_length(attention: object) -> int:
    """How many keys come before a sequence in a (stacked) attention module."""
    return 0 if attention.prefix is None else attention.prefix.past_key.shape[-3]


def _mixed(query, key, value, visible, scale):
    dtype = query.dtype
    if dtype == jnp.float16 and jax.default_backend() == "cpu":
        # There, XLA has no products of float16 numbers that are summed in float32.
        query, key, value = (array.astype(jnp.float32) for array in (query, key, value))
    mixed = jax.nn.dot_product_attention(query, key, value, mask=visible, scale=scale)
    return mixed.astype(dtype)


def _before(first: jax.Array, then: jax.Array) -> jax.Array:
    first = jnp.broadcast_to(first.astype(then.dtype), (then.shape[0], *first.shape))
    return jnp.concatenate([first, then], axis=1)
