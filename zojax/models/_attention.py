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
        slots where there is a memory.
      slot: shape (), int32: where in the memory the sequence is written; None without memory.
      behind: the same of the keys of a prefix, (batch, 1, query length, prefix length); None for
        all of it.
    """

    visible: jax.Array
    slot: jax.Array | None = None
    behind: jax.Array | None = None


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


def within(sight: Sight, window: int | None, positions: jax.Array, prefix_length: int) -> Sight:
    """The same, where a token sees `window` tokens at most: itself and those just before.

    Args:
      sight: of a decoder without windows.
      window: at least 1; None for any number.
      positions: of the queries, (batch, query length), with those of the prefix before.
      prefix_length: 0 for no prefix.
    """
    if prefix_length:
        apart = positions[:, None, :, None] - jnp.arange(prefix_length)
        sight = sight._replace(behind=(apart < window) if window else jnp.ones_like(apart, bool))
    if window is None:
        return sight
    # Tokens lie side by side, so slots are as far apart as positions.
    queries, keys = (jnp.arange(length) for length in sight.visible.shape[-2:])
    first = 0 if sight.slot is None else sight.slot
    apart = first + queries[:, None] - keys
    return sight._replace(visible=sight.visible & (apart < window))


def around(sight: Sight, reach: int | None) -> Sight:
    """The same, where a token sees those of an encoder up to `reach` before and after it.

    A prefix stays visible from everywhere.
    """
    if reach is None:
        return sight
    places = jnp.arange(sight.visible.shape[-1])
    near = jnp.abs(places[:, None] - places) <= reach
    return sight._replace(visible=sight.visible & near)


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    sight: Sight,
    *,
    prefix: Prefix | None = None,
    memory: Memory | None = None,
    scale: float | None = None,
    cap: float | None = None,
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
      cap: c, for c tanh(product / c) in the place of each scaled product; None for none.

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
        if sight.behind is None:
            width = ((0, 0), (0, 0), (0, 0), (prefix.past_key.shape[-3], 0))
            visible = jnp.pad(visible, width, constant_values=True)
        else:
            visible = jnp.concatenate([sight.behind, visible], axis=-1)
    mixed = _mixed(query, key, value, visible, scale, cap)
    return mixed.reshape(*mixed.shape[:-2], -1), memory


def heads(x: jax.Array, count: int) -> jax.Array:
    """Splits the last axis of (batch, length, count · width) into heads."""
    return x.reshape(*x.shape[:-1], count, -1)


def prefix_length(attention: object) -> int:
    """How many keys come before a sequence in a (stacked) attention module."""
    return 0 if attention.prefix is None else attention.prefix.past_key.shape[-3]


def capped(x: jax.Array, cap: float | None) -> jax.Array:
    """The bounded c tanh(x / c), between -c and c; x itself for None."""
    return x if cap is None else cap * jnp.tanh(x / cap)


def _mixed(query, key, value, visible, scale, cap):
    dtype = query.dtype
    if dtype == jnp.float16 and jax.default_backend() == "cpu":
        # There, XLA has no products of float16 numbers that are summed in float32.
        query, key, value = (array.astype(jnp.float32) for array in (query, key, value))
    if cap is None:
        mixed = jax.nn.dot_product_attention(query, key, value, mask=visible, scale=scale)
    else:
        mixed = _mixed_under_cap(query, key, value, visible, scale, cap)
    return mixed.astype(dtype)


def _mixed_under_cap(query, key, value, visible, scale, cap):
    """What `jax.nn.dot_product_attention` has no argument for."""
    grouped = query.reshape(*query.shape[:2], key.shape[2], -1, query.shape[-1])
    products = jnp.einsum("btkgd,bskd->bkgts", grouped, key, preferred_element_type=jnp.float32)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    logits = capped(products * scale, cap)
    # Finite, so that a query that sees nothing gets the mean.
    logits = jnp.where(visible[:, :, None], logits, -0.7 * jnp.finfo(jnp.float32).max)
    weights = jax.nn.softmax(logits, axis=-1).astype(key.dtype)
    return jnp.einsum("bkgts,bskd->btkgd", weights, value).reshape(query.shape)


def _before(first: jax.Array, then: jax.Array) -> jax.Array:
    first = jnp.broadcast_to(first.astype(then.dtype), (then.shape[0], *first.shape))
    return jnp.concatenate([first, then], axis=1)
