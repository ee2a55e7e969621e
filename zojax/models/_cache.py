"""What a decoder remembers of the tokens before, so that each new token costs one token's work."""

from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from zojax.models._attention import Memory, Sight


class Cache(NamedTuple):
    """Keys and values of all layers, of a fixed size: one program generates every token.

    Attributes:
      memory: keys and values, each (layers, batch, slots, heads, head width).
      tokens: int32, (batch, slots), 1 where a slot holds a token, 0 where padding or nothing.
      used: shape (), int32: slots written so far.
    """

    memory: Memory
    tokens: jax.Array
    used: jax.Array

    @classmethod
    def empty(
        cls, layers: int, batch: int, slots: int, heads: int, width: int, dtype: DTypeLike
    ) -> Self:
        """A cache with nothing in it."""
        nothing = jnp.zeros((layers, batch, slots, heads, width), dtype)
        tokens = jnp.zeros((batch, slots), jnp.int32)
        return cls(Memory(nothing, nothing), tokens, jnp.zeros((), jnp.int32))

    def place(self, mask: jax.Array) -> tuple[Self, jax.Array, Sight]:
        """Puts the tokens of `mask`, int32 (batch, length), into the next slots.

        Returns:
          The cache with these slots used (its keys and values still empty there); how many tokens
          come before each of them, -1 at padding, (batch, length); who sees whom.
        """
        length = mask.shape[1]
        tokens = jax.lax.dynamic_update_slice(self.tokens, mask, (0, self.used))
        counted = jax.lax.dynamic_slice_in_dim(jnp.cumsum(tokens, 1), self.used, length, axis=1)
        slots = jnp.arange(tokens.shape[1])
        reached = slots <= self.used + jnp.arange(length)[:, None]
        visible = reached & tokens.astype(bool)[:, None, None, :]
        cache = self._replace(tokens=tokens, used=self.used + length)
        return cache, mask * counted - 1, Sight(visible, self.used)


def remembered(model: Any, input_ids: jax.Array) -> Memory:
    """The keys and values of tokens, (batch, length), in all layers of a decoder."""
    cache = model.empty_cache(*input_ids.shape)
    return model.extend(input_ids, jnp.ones(input_ids.shape, jnp.int32), cache)[1].memory
