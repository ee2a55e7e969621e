"""Decoder layers with grouped queries, rotary positions, RMS norms and a gate.

The equations are those of `zojax.models.llama`; what the families add is in `Extras`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
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
      fused: one matrix for queries, keys and values, and one for gate and what is gated.
      unit_offset: norms with 1 + g in the place of g.
      scale: of the products of queries and keys; None for 1/√head_dim.
      cap: of these products, scaled; see `zojax.models._attention.attend`.
      logit_cap: the same of a language model's logits.
      table_scale: what the rows of the token table are multiplied with on the way in.
    """

    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    fused: bool = False
    unit_offset: bool = False
    scale: float | None = None
    cap: float | None = None
    logit_cap: float | None = None
    table_scale: float | None = None


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
        width = config.hidden_size
        queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
        self.qkv_proj = linear(width, queries + 2 * keys) if extras.fused else None
        self.q_proj = None if extras.fused else linear(width, queries)
        self.k_proj = None if extras.fused else linear(width, keys)
        self.v_proj = None if extras.fused else linear(width, keys)
        self.o_proj = out(queries, width)
        self.q_norm = rms_norm(config, extras, head, **kwargs) if extras.qk_norm else None
        self.k_norm = rms_norm(config, extras, head, **kwargs) if extras.qk_norm else None
        self.num_heads = config.num_attention_heads
        self.num_key_value_heads = config.num_key_value_heads
        self.scale, self.cap = extras.scale, extras.cap
        self.prefix = nnx.data(None)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight, rotation: Rotation
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        query, key, value = self._queries_keys_values(x)
        query = query if self.q_norm is None else self.q_norm(query)
        key = key if self.k_norm is None else self.k_norm(key)
        query, key = _rotary.rotate(query, rotation), _rotary.rotate(key, rotation)
        mixed, memory = _attention.attend(
            query,
            key,
            value,
            sight,
            prefix=self.prefix,
            memory=memory,
            scale=self.scale,
            cap=self.cap,
        )
        return self.o_proj(mixed), memory

    def _queries_keys_values(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        count, key_count = self.num_heads, self.num_key_value_heads
        if self.qkv_proj is None:
            parts = self.q_proj(x), self.k_proj(x), self.v_proj(x)
            return tuple(
                _attention.heads(part, n)
                for part, n in zip(parts, (count, key_count, key_count), strict=True)
            )
        every = _attention.heads(self.qkv_proj(x), count + 2 * key_count)
        return tuple(jnp.split(every, (count, count + key_count), axis=-2))


class MLP(nnx.Module):
    """The gated feed-forward block."""

    def __init__(self, config: GatedConfig, extras: Extras, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = _parts.linear_maker(
            config.initializer_range, use_bias=extras.mlp_bias, dtype=dtype, rngs=rngs
        )
        width, inner = config.hidden_size, config.intermediate_size
        self.gate_up_proj = linear(width, 2 * inner) if extras.fused else None
        self.gate_proj = None if extras.fused else linear(width, inner)
        self.up_proj = None if extras.fused else linear(width, inner)
        self.down_proj = linear(inner, width)
        self.activation = _parts.activation(config.hidden_act, "hidden_act")

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps activations, (batch, length, hidden_size), to such."""
        if self.gate_up_proj is None:
            gate, up = self.gate_proj(x), self.up_proj(x)
        else:
            gate, up = jnp.split(self.gate_up_proj(x), 2, axis=-1)
        return self.down_proj(self.activation(gate) * up)


class DecoderLayer(nnx.Module):
    """One layer: attention and the feed-forward block, each after a norm and added to its input."""

    def __init__(self, config: GatedConfig, extras: Extras, *, dtype: DTypeLike, rngs: nnx.Rngs):
        kwargs = {"dtype": dtype, "rngs": rngs}
        self.input_layernorm = rms_norm(config, extras, config.hidden_size, **kwargs)
        self.self_attn = Attention(config, extras, **kwargs)
        self.post_attention_layernorm = rms_norm(config, extras, config.hidden_size, **kwargs)
        self.mlp = MLP(config, extras, **kwargs)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight, rotation: Rotation
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        attended, memory = self.self_attn(self.input_layernorm(x), memory, sight, rotation)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), memory


class SandwichLayer(nnx.Module):
    """The same with a norm on either side of both: what they give is normed before it is added."""

    def __init__(self, config: GatedConfig, extras: Extras, *, dtype: DTypeLike, rngs: nnx.Rngs):
        kwargs = {"dtype": dtype, "rngs": rngs}
        self.input_layernorm = rms_norm(config, extras, config.hidden_size, **kwargs)
        self.self_attn = Attention(config, extras, **kwargs)
        self.post_attention_layernorm = rms_norm(config, extras, config.hidden_size, **kwargs)
        self.pre_feedforward_layernorm = rms_norm(config, extras, config.hidden_size, **kwargs)
        self.mlp = MLP(config, extras, **kwargs)
        self.post_feedforward_layernorm = rms_norm(config, extras, config.hidden_size, **kwargs)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight, rotation: Rotation
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        attended, memory = self.self_attn(self.input_layernorm(x), memory, sight, rotation)
        x = x + self.post_attention_layernorm(attended)
        fed = self.mlp(self.pre_feedforward_layernorm(x))
        return x + self.post_feedforward_layernorm(fed), memory


class OffsetRMSNorm(nnx.Module):
    """x (1 + g) / √(mean x² + ε) over the last axis, in float32, result in the input's dtype."""

    def __init__(self, width: int, epsilon: float, *, dtype: DTypeLike):
        self.scale = nnx.Param(jnp.zeros(width, dtype))
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (..., width) to such."""
        wide = x.astype(jnp.float32)
        normed = wide * jax.lax.rsqrt(jnp.mean(wide**2, -1, keepdims=True) + self.epsilon)
        return (normed * (1 + self.scale[...].astype(jnp.float32))).astype(x.dtype)


def rms_norm(
    config: GatedConfig, extras: Extras, width: int, *, dtype: DTypeLike, rngs: nnx.Rngs
) -> nnx.RMSNorm | OffsetRMSNorm:
    """A norm without a mean: x g / √(mean x² + ε) over the last axis, computed in float32."""
    if extras.unit_offset:
        return OffsetRMSNorm(width, config.rms_norm_eps, dtype=dtype)
    return nnx.RMSNorm(width, epsilon=config.rms_norm_eps, param_dtype=dtype, rngs=rngs)
