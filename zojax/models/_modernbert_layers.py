"""The layers and the head of ModernBERT, equations (2) to (4) of `zojax.models.modernbert`."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _gated_layers, _parts
from zojax.models._attention import Memory, Sight
from zojax.models._gated_layers import Extras
from zojax.models._modernbert_config import ModernBERTConfig
from zojax.models._rotary import Rotation

# Activations, and the same normed for what comes next.
Carry = tuple[jax.Array, jax.Array]


class Layer(nnx.Module):
    """One layer: what it is given is normed already, and it norms what it gives.

    The first layer has no norm before its attention, as the tokens come normed. So the norm before
    the next layer's attention, and the last one of all, belong to the layer before.
    """

    def __init__(self, config: ModernBERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        kwargs = {"dtype": dtype, "rngs": rngs}
        biases = config.attention_bias
        extras = Extras(fused=True, qkv_bias=biases, out_bias=biases, mlp_bias=config.mlp_bias)
        self.attn = _gated_layers.Attention(config, extras, **kwargs)
        self.mlp_norm = norm(config, **kwargs)
        self.mlp = _gated_layers.MLP(config, extras, **kwargs)
        self.next_norm = norm(config, **kwargs)

    def __call__(
        self, carry: Carry, memory: Memory | None, sight: Sight, rotation: Rotation
    ) -> tuple[Carry, Memory | None]:
        """Maps activations, (batch, length, hidden_size) twice, to such; updates the memory."""
        x, normed = carry
        attended, memory = self.attn(normed, memory, sight, rotation)
        x = x + attended
        x = x + self.mlp(self.mlp_norm(x))
        return (x, self.next_norm(x)), memory


class Embeddings(nnx.Module):
    """The token table, normed."""

    def __init__(self, config: ModernBERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        table = _parts.table_maker(config.initializer_range, dtype=dtype, rngs=rngs)
        self.tok_embeddings = table(config.vocab_size, config.hidden_size)
        self.norm = norm(config, dtype=dtype, rngs=rngs)

    def __call__(self, input_ids: jax.Array) -> jax.Array:
        """Maps (batch, length) to activations, (batch, length, hidden_size)."""
        return self.norm(_parts.rows(self.tok_embeddings, input_ids))


class PredictionHead(nnx.Module):
    """norm(act(x W)), before the last map of either head.

    Attributes:
      bias: of a masked language model's logits, (vocab_size,), or None.
    """

    def __init__(
        self, config: ModernBERTConfig, *, use_bias: bool, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        kwargs, width = {"dtype": dtype, "rngs": rngs}, config.hidden_size
        linear = _parts.linear_maker(
            config.initializer_range, use_bias=config.classifier_bias, **kwargs
        )
        self.dense = linear(width, width)
        self.norm = norm(config, **kwargs)
        self.bias = nnx.Param(jnp.zeros(config.vocab_size, dtype)) if use_bias else None
        self.activation = _parts.activation(config.classifier_activation, "classifier_activation")

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (..., hidden_size) to such."""
        return self.norm(self.activation(self.dense(x)))


def norm(config: ModernBERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """A norm of ModernBERT."""
    width, epsilon, use_bias = config.hidden_size, config.norm_eps, config.norm_bias
    return _parts.layer_norm(width, epsilon, use_bias=use_bias, dtype=dtype, rngs=rngs)
