"""Decoder layers with grouped queries, rotary positions, RMS norms and a gate.

The equations are those of `zojax.models.llama`; what the families add is in `Extras`.
"""

from typing import NamedTuple

import jax
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _attention, _parts, _rotary
from zojax.models._attention import Memory, Sight
from zojax.models._gated_config import GatedConfig
from zojax.models._rotary import Rotation


class Extras(NamedTuple):
    """What the layers of a family have beyond plain matrices.

    Attributes:
      qkv_bias: biases on queries, keys and values.
      out_bias: a bias on what attention gives.
      mlp_bias: biases on the feed-forward block.
      qk_norm: norms of every head's queries and keys before they are turned.
    """

    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False


class Attention(nnx.Module):
    """Attention with rotary positions and several query heads a key.

    Attributes:
      prefix: trained keys (turned) and values before those of the sequence, or None.
    """

    def __init__(self, config: GatedConfig, extras: Extras, *, dtype: DTypeLike, rngs: nnx.Rngs):
        deviation, head = config.initializer_range, config.head_dim
        kwargs = {"dtype": dtype, "rngs": rngs}
        linear = _parts.linear_maker(deviation, use_bias=extras.qkv_bias, **kwargs)
        out = _parts.linear_maker(deviation, use_bias=extras.out_bias, **kwargs)
        self.q_proj = linear(config.hidden_size, config.num_attention_heads * head)
        self.k_proj = linear(config.hidden_size, config.num_key_value_heads * head)
        self.v_proj = linear(config.hidden_size, config.num_key_value_heads * head)
        self.o_proj = out(config.num_attention_heads * head, config.hidden_size)
        self.q_norm = rms_norm(config, head, **kwargs) if extras.qk_norm else None
        self.k_norm = rms_norm(config, head, **kwargs) if extras.qk_norm else None
        self.num_heads = config.num_attention_heads
        self.num_key_value_heads = config.num_key_value_heads
        self.prefix = nnx.data(None)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight, rotation: Rotation
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        query = _attention.heads(self.q_proj(x), self.num_heads)
        key = _attention.heads(self.k_proj(x), self.num_key_value_heads)
        value = _attention.heads(self.v_proj(x), self.num_key_value_heads)
        query = query if self.q_norm is None else self.q_norm(query)
        key = key if self.k_norm is None else self.k_norm(key)
        query, key = _rotary.rotate(query, rotation), _rotary.rotate(key, rotation)
        mixed, memory = _attention.attend(
            query, key, value, sight, prefix=self.prefix, memory=memory
        )
        return self.o_proj(mixed), memory


class MLP(nnx.Module):
    """The gated feed-forward block."""

    def __init__(self, config: GatedConfig, extras: Extras, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = _parts.linear_maker(
            config.initializer_range, use_bias=extras.mlp_bias, dtype=dtype, rngs=rngs
        )
        self.gate_proj = linear(config.hidden_size, config.intermediate_size)
        self.up_proj = linear(config.hidden_size, config.intermediate_size)
        self.down_proj = linear(config.intermediate_size, config.hidden_size)
        self.activation = _parts.activation(config.hidden_act, "hidden_act")

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps activations, (batch, length, hidden_size), to such."""
        return self.down_proj(self.activation(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nnx.Module):
    """One layer: attention and the feed-forward block, each after a norm and added to its input."""

    def __init__(self, config: GatedConfig, extras: Extras, *, dtype: DTypeLike, rngs: nnx.Rngs):
        kwargs = {"dtype": dtype, "rngs": rngs}
        self.input_layernorm = rms_norm(config, config.hidden_size, **kwargs)
        self.self_attn = Attention(config, extras, **kwargs)
        self.post_attention_layernorm = rms_norm(config, config.hidden_size, **kwargs)
        self.mlp = MLP(config, extras, **kwargs)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight, rotation: Rotation
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        attended, memory = self.self_attn(self.input_layernorm(x), memory, sight, rotation)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), memory


def rms_norm(config: GatedConfig, width: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.RMSNorm:
    """X g / √(mean x² + ε) over the last axis, in float32, result in the input's dtype."""
    return nnx.RMSNorm(width, epsilon=config.rms_norm_eps, param_dtype=dtype, rngs=rngs)
