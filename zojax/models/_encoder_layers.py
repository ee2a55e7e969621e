"""What BERT and RoBERTa share, equations (1) and (2) of `zojax.models.bert` and its two heads."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _attention, _heads, _parts
from zojax.models._attention import Memory, Sight
from zojax.models._bert_config import BERTConfig
from zojax.models._heads import Head


class Embeddings(nnx.Module):
    """The sum of three tables, or of two where there are no types of tokens, normed."""

    def __init__(self, config: BERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        kwargs, width = {"dtype": dtype, "rngs": rngs}, config.hidden_size
        table = _parts.table_maker(config.initializer_range, **kwargs)
        self.word_embeddings = table(config.vocab_size, width)
        self.position_embeddings = table(config.max_position_embeddings, width)
        types = config.type_vocab_size
        self.token_type_embeddings = table(types, width) if types else None
        self.LayerNorm = layer_norm(config, **kwargs)

    def __call__(
        self, input_ids: jax.Array, positions: jax.Array, token_type_ids: jax.Array
    ) -> jax.Array:
        """Maps three arrays of integers, which broadcast to (batch, length), to activations."""
        x = _parts.rows(self.word_embeddings, input_ids)
        x = x + _parts.rows(self.position_embeddings, positions)
        if self.token_type_embeddings is not None:
            x = x + _parts.rows(self.token_type_embeddings, token_type_ids)
        return self.LayerNorm(x)


class SelfAttention(nnx.Module):
    """Multi-head attention up to the map of its outputs.

    Attributes:
      prefix: trained keys and values before those of the sequence, or None.
    """

    def __init__(self, config: BERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear, width = linear_maker(config, dtype=dtype, rngs=rngs), config.hidden_size
        self.query = linear(width, width)
        self.key = linear(width, width)
        self.value = linear(width, width)
        self.num_heads = config.num_attention_heads
        self.prefix = nnx.data(None)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        query, key, value = (
            _attention.heads(f(x), self.num_heads) for f in (self.query, self.key, self.value)
        )
        return _attention.attend(query, key, value, sight, prefix=self.prefix, memory=memory)


class Residual(nnx.Module):
    """norm(x + y W + b), where y is what was computed from x."""

    def __init__(self, config: BERTConfig, inputs: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.dense = linear_maker(config, dtype=dtype, rngs=rngs)(inputs, config.hidden_size)
        self.LayerNorm = layer_norm(config, dtype=dtype, rngs=rngs)

    def __call__(self, y: jax.Array, x: jax.Array) -> jax.Array:
        """Maps (..., inputs) and (..., hidden_size) to (..., hidden_size)."""
        return self.LayerNorm(x + self.dense(y))


class Attention(nnx.Module):
    """The first half of a layer."""

    def __init__(self, config: BERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.self = SelfAttention(config, dtype=dtype, rngs=rngs)
        self.output = Residual(config, config.hidden_size, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        mixed, memory = self.self(x, memory, sight)
        return self.output(mixed, x), memory


class Intermediate(nnx.Module):
    """act(x W + b)."""

    def __init__(self, config: BERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = linear_maker(config, dtype=dtype, rngs=rngs)
        self.dense = linear(config.hidden_size, config.intermediate_size)
        self.activation = _parts.activation(config.hidden_act, "hidden_act")

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (..., hidden_size) to (..., intermediate_size)."""
        return self.activation(self.dense(x))


class Layer(nnx.Module):
    """One layer, equation (2) of the module."""

    def __init__(self, config: BERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.attention = Attention(config, dtype=dtype, rngs=rngs)
        self.intermediate = Intermediate(config, dtype=dtype, rngs=rngs)
        self.output = Residual(config, config.intermediate_size, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; updates the memory."""
        x, memory = self.attention(x, memory, sight)
        return self.output(self.intermediate(x), x), memory


class MaskedHead(nnx.Module):
    """norm(act(x W + b)) Eᵀ + c, with E the token table: the logits of masked tokens."""

    def __init__(self, config: BERTConfig, activation: str, *, dtype: DTypeLike, rngs: nnx.Rngs):
        width = config.hidden_size
        self.dense = linear_maker(config, dtype=dtype, rngs=rngs)(width, width)
        self.layer_norm = layer_norm(config, dtype=dtype, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(config.vocab_size, dtype))
        self.activation = _parts.activation(activation, "hidden_act")

    def __call__(self, x: jax.Array, table: nnx.Embed) -> jax.Array:
        """Maps (..., hidden_size) to logits, (..., vocab_size), float32."""
        x = self.layer_norm(self.activation(self.dense(x)))
        return _parts.contract(x, table.embedding[...].T, self.bias[...])


def check_head(
    config: BERTConfig, architectures: dict[Head | None, str], head: Head | None
) -> None:
    """Raises ValueError for a head that the family does not have or that is not tied."""
    _heads.check(architectures, head)
    if head == "masked_language_model" and not config.tie_word_embeddings:
        raise ValueError(
            "tie_word_embeddings is false; the masked language models of zojax.models have the "
            "token table as their head."
        )


def linear_maker(config: BERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
    """A function (inputs, outputs) → linear map with a bias."""
    return _parts.linear_maker(config.initializer_range, use_bias=True, dtype=dtype, rngs=rngs)


def layer_norm(config: BERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """A norm of BERT."""
    return _parts.layer_norm(config.hidden_size, config.layer_norm_eps, dtype=dtype, rngs=rngs)
