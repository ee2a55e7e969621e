"""The body of BERT and RoBERTa: from tokens to features, equations (1) and (2) of their modules."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _attention, _encoder_layers, _parts, _tokens
from zojax.models._attention import Memory, Sight
from zojax.models._bert_config import BERTConfig
from zojax.models._cache import Cache
from zojax.models._format import Path

OLD_NORMS = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))


class Encoder(nnx.Module):
    """Tables and a stack of layers.

    Attributes:
      config: the settings.
    """

    def __init__(self, config: BERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.config = config
        self.embeddings = _encoder_layers.Embeddings(config, dtype=dtype, rngs=rngs)
        self.layers = _parts.stack(
            lambda rngs: _encoder_layers.Layer(config, dtype=dtype, rngs=rngs),
            config.num_hidden_layers,
            rngs,
        )

    def __call__(
        self,
        input_ids: jax.Array,
        attention_mask: jax.Array | None,
        token_type_ids: jax.Array | None,
    ) -> jax.Array:
        """Features, (batch, length, hidden_size), of what `BERT` documents."""
        mask = _tokens.checked_mask(input_ids, attention_mask, self.config.longest)
        types = _checked_types(input_ids, token_type_ids)
        return self._run(input_ids, mask, types, None, _attention.everything(mask))[0]

    def keys_and_values(self, input_ids: jax.Array) -> Memory:
        """The keys and values of tokens, (batch, length), in all layers."""
        heads, depth = self.config.num_attention_heads, self.config.num_hidden_layers
        width, dtype = self.config.hidden_size // heads, self.word_embeddings.embedding.dtype
        mask = jnp.ones(input_ids.shape, jnp.int32)
        empty = Cache.empty(depth, *input_ids.shape, heads, width, dtype).memory
        sight = _attention.everything(mask)._replace(slot=jnp.int32(0))
        return self._run(input_ids, mask, _checked_types(input_ids, None), empty, sight)[1]

    @property
    def word_embeddings(self) -> nnx.Embed:
        """The token table."""
        return self.embeddings.word_embeddings

    def _run(
        self,
        input_ids: jax.Array,
        mask: jax.Array,
        types: jax.Array,
        memory: Memory | None,
        sight: Sight,
    ) -> tuple[jax.Array, Memory | None]:
        # Of padding `positions` gives -1, which is the row before that of the first token: RoBERTa
        # has one for it, BERT has none and takes any.
        positions = jnp.maximum(_tokens.positions(mask) + self.config.first_position, 0)
        x = self.embeddings(input_ids, positions, types)
        return _parts.run(self.layers, x, memory, sight=sight)


def at_first(features: jax.Array, attention_mask: jax.Array | None) -> jax.Array:
    """The features of the first token of each row, (batch, width), from (batch, length, width).

    Args:
      features: of all positions.
      attention_mask: (batch, length); None for no padding. A row without tokens gives its first.
    """
    if attention_mask is None:
        return features[:, 0]
    first = jnp.argmax(attention_mask.astype(bool), axis=1)
    return jnp.take_along_axis(features, first[:, None, None], axis=1)[:, 0]


def tensor_name(path: Path) -> str:
    """From ("bert", "layers", "output", "dense", "kernel") to its name in Hugging Face's files."""
    *modules, leaf = path
    name = ".".join([*modules, "bias" if leaf == "bias" else "weight"])
    return name.replace(".layers.", ".encoder.layer.{}.", 1)


def _checked_types(input_ids, token_type_ids):
    if token_type_ids is None:
        return jnp.zeros((1, 1), jnp.int32)  # one row of the table for all positions
    if token_type_ids.shape != input_ids.shape or not jnp.issubdtype(
        token_type_ids.dtype, jnp.integer
    ):
        raise ValueError(
            f"token_type_ids must be integers of the shape of input_ids, {input_ids.shape}, not "
            f"{token_type_ids.dtype}{list(token_type_ids.shape)}."
        )
    return token_type_ids
