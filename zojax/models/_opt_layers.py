"""The layers of OPT, equations (2) and (2') of `zojax.models.opt`."""

import jax
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _attention, _parts
from zojax.models._attention import Memory, Sight
from zojax.models._opt_config import OPTConfig


class Attention(nnx.Module):
    """Multi-head attention.

    Attributes:
      prefix: trained keys and values before those of the sequence, or None.
    """

    def __init__(self, config: OPTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = _parts.linear_maker(
            config.init_std, use_bias=config.enable_bias, dtype=dtype, rngs=rngs
        )
        self.q_proj = linear(config.hidden_size, config.hidden_size)
        self.k_proj = linear(config.hidden_size, config.hidden_size)
        self.v_proj = linear(config.hidden_size, config.hidden_size)
        self.out_proj = linear(config.hidden_size, config.hidden_size)
        self.num_heads = config.num_attention_heads
        self.prefix = nnx.data(None)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        query, key, value = (
            _attention.heads(f(x), self.num_heads) for f in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed, memory = _attention.attend(
            query, key, value, sight, prefix=self.prefix, memory=memory
        )
        return self.out_proj(mixed), memory


class DecoderLayer(nnx.Module):
    """One layer, equation (2) or (2') of the module."""

    def __init__(self, config: OPTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = _parts.linear_maker(
            config.init_std, use_bias=config.enable_bias, dtype=dtype, rngs=rngs
        )
        self.self_attn = Attention(config, dtype=dtype, rngs=rngs)
        self.self_attn_layer_norm = layer_norm(config, dtype=dtype, rngs=rngs)
        self.fc1 = linear(config.hidden_size, config.ffn_dim)
        self.fc2 = linear(config.ffn_dim, config.hidden_size)
        self.final_layer_norm = layer_norm(config, dtype=dtype, rngs=rngs)
        self.activation = _parts.activation(config.activation_function, "activation_function")
        self.norm_first = config.do_layer_norm_before

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        attended, memory = self.self_attn(
            self.self_attn_layer_norm(x) if self.norm_first else x, memory, sight
        )
        x = x + attended
        x = x if self.norm_first else self.self_attn_layer_norm(x)
        x = x + self._feed_forward(self.final_layer_norm(x) if self.norm_first else x)
        return (x if self.norm_first else self.final_layer_norm(x)), memory

    def _feed_forward(self, x):
        return self.fc2(self.activation(self.fc1(x)))


def layer_norm(config: OPTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """A norm of OPT."""
    affine = config.layer_norm_elementwise_affine
    return _parts.layer_norm(config.hidden_size, 1e-5, affine=affine, dtype=dtype, rngs=rngs)
