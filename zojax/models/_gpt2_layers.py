"""The layers of GPT-2, equation (2) of `zojax.models.gpt2`."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _attention, _parts
from zojax.models._attention import Memory, Sight
from zojax.models._gpt2_config import GPT2Config


class Attention(nnx.Module):
    """Multi-head attention with one linear map, `c_attn`, for queries, keys and values.

    Attributes:
      prefix: trained keys and values before those of the sequence, or None.
    """

    def __init__(self, config: GPT2Config, *, dtype: DTypeLike, rngs: nnx.Rngs):
        width, kwargs = config.n_embd, {"use_bias": True, "dtype": dtype, "rngs": rngs}
        self.c_attn = _parts.linear_maker(config.initializer_range, **kwargs)(width, 3 * width)
        self.c_proj = _parts.linear_maker(_residual_deviation(config), **kwargs)(width, width)
        self.num_heads = config.n_head
        self.scale = None if config.scale_attn_weights else 1.0
        self.prefix = nnx.data(None)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight, divisor: jax.Array | None
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, n_embd), to such; updates the memory.

        Args:
          x: activations.
          memory: of this layer.
          sight: who sees whom.
          divisor: of the products of queries and keys, shape (), float32; None for 1.
        """
        query, key, value = (
            _attention.heads(part, self.num_heads) for part in jnp.split(self.c_attn(x), 3, axis=-1)
        )
        query = query if divisor is None else (query / divisor).astype(query.dtype)
        mixed, memory = _attention.attend(
            query, key, value, sight, prefix=self.prefix, memory=memory, scale=self.scale
        )
        return self.c_proj(mixed), memory


class FeedForward(nnx.Module):
    """act(x W₁ + b₁) W₂ + b₂."""

    def __init__(self, config: GPT2Config, *, dtype: DTypeLike, rngs: nnx.Rngs):
        kwargs = {"use_bias": True, "dtype": dtype, "rngs": rngs}
        width, inner = config.n_embd, config.n_inner
        self.c_fc = _parts.linear_maker(config.initializer_range, **kwargs)(width, inner)
        self.c_proj = _parts.linear_maker(_residual_deviation(config), **kwargs)(inner, width)
        self.activation = _parts.activation(config.activation_function, "activation_function")

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps activations, (..., n_embd), to such."""
        return self.c_proj(self.activation(self.c_fc(x)))


class Block(nnx.Module):
    """One layer, equation (2) of the module."""

    def __init__(self, config: GPT2Config, *, dtype: DTypeLike, rngs: nnx.Rngs):
        kwargs = {"dtype": dtype, "rngs": rngs}
        self.ln_1 = layer_norm(config, **kwargs)
        self.attn = Attention(config, **kwargs)
        self.ln_2 = layer_norm(config, **kwargs)
        self.mlp = FeedForward(config, **kwargs)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight, divisor: jax.Array | None
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, n_embd), to such; updates the memory.

        Args:
          x: activations.
          memory: of this layer.
          sight: who sees whom.
          divisor: of this layer's products of queries and keys; None for 1.
        """
        attended, memory = self.attn(self.ln_1(x), memory, sight, divisor)
        x = x + attended
        return x + self.mlp(self.ln_2(x)), memory


def layer_norm(config: GPT2Config, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """A norm of GPT-2."""
    return _parts.layer_norm(config.n_embd, config.layer_norm_epsilon, dtype=dtype, rngs=rngs)


def _residual_deviation(config):
    # 2 n_layer maps add to the residual stream, whose spread is to be that of one at every depth.
    return config.initializer_range / (2 * config.n_layer) ** 0.5
