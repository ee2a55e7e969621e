"""The module that Llama and its kin are: a family adds its settings and what is in `Extras`."""

import os
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _attention, _cache, _gated_layers, _heads, _parts, _rotary, _save, _tokens
from zojax.models._attention import Memory, Sight
from zojax.models._cache import Cache
from zojax.models._format import Format
from zojax.models._gated_config import GatedConfig
from zojax.models._gated_layers import Extras
from zojax.models._heads import Head


def _tensor_name(path: tuple[str, ...]) -> str:
    """From ("layers", "mlp", "up_proj", "kernel") to "model.layers.{}.mlp.up_proj.weight"."""
    *modules, leaf = path
    name = ".".join([*modules, "bias" if leaf == "bias" else "weight"])
    if modules[0] in ("lm_head", "score"):
        return name
    return "model." + name.replace("layers.", "layers.{}.", 1)


class GatedDecoder(nnx.Module):
    """Base of the families; a family states the class attributes and `_extras`."""

    config_class: ClassVar[type[GatedConfig]]
    architectures: ClassVar[dict[Head | None, str]]

    @staticmethod
    def _extras(config: GatedConfig) -> Extras:
        raise NotImplementedError

    def __init__(
        self,
        config: GatedConfig,
        *,
        head: Head | None = "language_model",
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        """Draws new weights: kernels and tables from N(0, initializer_range²), biases 0, scales 1.

        Args:
          config: the settings.
          head: what a call returns; see the class.
          dtype: the dtype of the weights.
          rngs: the source of randomness.

        Raises:
          ValueError: for an unknown head or activation function.
        """
        _heads.check(self.architectures, head)
        self.config, self.head = config, head
        kwargs = {"dtype": dtype, "rngs": rngs}
        width, extras = config.hidden_size, self._extras(config)
        linear = _parts.linear_maker(config.initializer_range, use_bias=False, **kwargs)
        table = _parts.table_maker(config.initializer_range, **kwargs)
        self.embed_tokens = table(config.vocab_size, width)
        self.layers = _parts.stack(
            lambda rngs: _gated_layers.DecoderLayer(config, extras, dtype=dtype, rngs=rngs),
            config.num_hidden_layers,
            rngs,
        )
        self.norm = _gated_layers.rms_norm(config, width, **kwargs)
        untied = head == "language_model" and not config.tie_word_embeddings
        self.lm_head = linear(width, config.vocab_size) if untied else None
        self.score = linear(width, len(config.labels)) if head == "classifier" else None

    @property
    def checkpoint_format(self) -> Format:
        """How Hugging Face's files name the parameters."""
        layers = range(self.config.num_hidden_layers)
        return Format(
            architecture=self.architectures[self.head],
            prefix="model.",
            bare=self.head is None,
            tensor_name=_tensor_name,
            table="model.embed_tokens.weight",
            head="lm_head.weight",
            new=("score",),
            # Files of the first years hold the frequencies, which the settings give.
            ignored=tuple(f"layers.{i}.self_attn.rotary_emb.inv_freq" for i in layers),
        )

    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array | None = None) -> jax.Array:
        """Computes the logits of the token that follows each token, or what else the head gives.

        Args:
          input_ids: integers in [0, vocab_size), (batch, length); a larger one makes logits NaN.
          attention_mask: 1 or True for a token, 0 for padding, (batch, length), padded on either
            side; None means that every position holds a token.

        Returns:
          With a language model's head, logits, (batch, length, vocab_size), float32; finite at
          padding, where they mean nothing. With a classifier, logits, (batch, labels), float32.
          Without a head, the features.

        Raises:
          ValueError: if a shape or dtype differs from the above, or length is beyond
            `max_position_embeddings`.
        """
        features = self.features(input_ids, attention_mask)
        if self.head == "classifier":
            features = _tokens.at_last(features, attention_mask)
        return features if self.head is None else self.attend(features)

    def features(self, input_ids: jax.Array, attention_mask: jax.Array | None = None) -> jax.Array:
        """Computes what the head contracts; arguments and errors are those of a call.

        Returns:
          Features, (batch, length, hidden_size), in the dtype of the weights.
        """
        mask = _tokens.checked_mask(
            input_ids, attention_mask, self.config.max_position_embeddings - self._shift
        )
        sight = _attention.causal(mask)
        return self._run(input_ids, _tokens.positions(mask), None, sight)[0]

    def empty_cache(self, batch: int, slots: int) -> Cache:
        """Room for the keys (turned) and values of `slots` tokens a row."""
        config, dtype = self.config, self.embed_tokens.embedding.dtype
        heads, width = config.num_key_value_heads, config.head_dim
        return Cache.empty(config.num_hidden_layers, batch, slots, heads, width, dtype)

    def extend(
        self, input_ids: jax.Array, attention_mask: jax.Array, cache: Cache
    ) -> tuple[jax.Array, Cache]:
        """Computes the features of tokens that follow those in a cache.

        Args:
          input_ids: integers, (batch, length).
          attention_mask: int32, (batch, length), 0 for padding.
          cache: of this model, with room for `length` more tokens.

        Returns:
          Features, (batch, length, hidden_size), and the cache with these tokens.
        """
        cache, positions, sight = cache.place(attention_mask)
        x, memory = self._run(input_ids, positions, cache.memory, sight)
        return x, cache._replace(memory=memory)

    def keys_and_values(self, input_ids: jax.Array) -> Memory:
        """What the layers remember of tokens, (batch, length): a prefix starts as that."""
        return _cache.remembered(self, input_ids)

    def attend(self, features: jax.Array) -> jax.Array:
        """Contracts features with the head; a language model's may be tied to the token table.

        Args:
          features: (..., hidden_size).

        Returns:
          Logits, (..., vocab_size) or (..., labels), accumulated and returned in float32.
        """
        if self.head == "classifier":
            return _parts.contract(features, self.score.kernel[...])
        tied = self.lm_head is None
        kernel = self.embed_tokens.embedding[...].T if tied else self.lm_head.kernel[...]
        return _parts.contract(features, kernel)

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Writes `config.json` and safetensors that `transformers` and `from_pretrained` read.

        The tensors keep the dtype of the weights. Weight files that an earlier save left in the
        directory are replaced.

        Args:
          directory: a folder, made if missing.
        """
        _save.save(self, directory)

    @property
    def _shift(self) -> int:
        """A prefix takes the first positions."""
        return _attention.prefix_length(self.layers.self_attn)

    def _run(
        self, input_ids: jax.Array, before: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """All but the head; `before` counts the tokens before each, -1: none."""
        config = self.config
        positions = jnp.maximum(before, 0) + self._shift
        rotation = _rotary.rotation(config.rope_parameters, positions, config.head_dim)
        x = _parts.rows(self.embed_tokens, input_ids)
        x, memory = _parts.run(self.layers, x, memory, sight=sight, rotation=rotation)
        return self.norm(x), memory
