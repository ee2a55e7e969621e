"""What all decoders share around their own layers: calls, a cache, heads, files."""

import os
from typing import Any, ClassVar

import jax
from flax import nnx

from zojax.models import _attention, _cache, _parts, _save, _tokens
from zojax.models._attention import Memory
from zojax.models._cache import Cache
from zojax.models._heads import Head


class Decoder(nnx.Module):
    """Base of the families of decoders.

    A family adds `checkpoint_format`, `empty_cache`, and `_run(input_ids, before, memory, sight)`:
    from tokens, and how many tokens come before each (-1: it is padding), to features and memory.

    Attributes:
      config: the settings.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.
      lm_head: the output head where it is not the token table, else None.
      score: the classifier, or None.
    """

    config_class: ClassVar[type]
    architectures: ClassVar[dict[Head | None, str]]
    # Where the tokens are looked up, and the attention of a layer.
    _table: ClassVar[str]
    _attends: ClassVar[str]

    config: Any
    head: Head | None
    lm_head: nnx.Linear | None
    score: nnx.Linear | None

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
          Features, (batch, length, width of the token table), in the dtype of the weights.
        """
        longest = self.config.longest - self._shift
        mask = _tokens.checked_mask(input_ids, attention_mask, longest)
        return self._run(input_ids, _tokens.positions(mask), None, _attention.causal(mask))[0]

    def extend(
        self, input_ids: jax.Array, attention_mask: jax.Array, cache: Cache
    ) -> tuple[jax.Array, Cache]:
        """Computes the features of tokens that follow those in a cache.

        Args:
          input_ids: integers, (batch, length).
          attention_mask: int32, (batch, length), 0 for padding.
          cache: of this model, with room for `length` more tokens.

        Returns:
          Features as above, and the cache with these tokens.
        """
        cache, positions, sight = cache.place(attention_mask)
        x, memory = self._run(input_ids, positions, cache.memory, sight)
        return x, cache._replace(memory=memory)

    def keys_and_values(self, input_ids: jax.Array) -> Memory:
        """What the layers remember of tokens, (batch, length): a prefix starts as that."""
        return _cache.remembered(self, input_ids)

    def attend(self, features: jax.Array) -> jax.Array:
        """Contracts features with the head; a language model's is often tied to the token table.

        Args:
          features: (..., width of the token table).

        Returns:
          Logits, (..., vocab_size) or (..., labels), accumulated and returned in float32.

        Raises:
          ValueError: if the model has no head.
        """
        if self.head is None:
            raise ValueError("the model has no head; load it with one to get logits")
        if self.head == "classifier":
            return _parts.contract(features, self.score.kernel[...])
        if self.lm_head is not None:
            return _parts.contract(features, self.lm_head.kernel[...])
        return _parts.contract(features, getattr(self, self._table).embedding[...].T)

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
        return _attention.prefix_length(getattr(self.layers, self._attends))
