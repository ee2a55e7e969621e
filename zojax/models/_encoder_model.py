"""What encoders without types of tokens share around their own layers: calls and files."""

import os
from typing import Any, ClassVar

import jax
from flax import nnx

from zojax.models import _encoder, _save
from zojax.models._heads import Head


class EncoderModel(nnx.Module):
    """Base of such families.

    A family adds `checkpoint_format`, `features`, `keys_and_values` and `attend`.

    Attributes:
      config: the settings.
      head: "masked_language_model", "classifier" or None.
    """

    config_class: ClassVar[type]
    architectures: ClassVar[dict[Head | None, str]]

    config: Any
    head: Head | None

    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array | None = None) -> jax.Array:
        """Computes the logits of the token at each position, or what else the head gives.

        Args:
          input_ids: integers in [0, vocab_size), (batch, length); a larger one makes logits NaN.
          attention_mask: 1 or True for a token, 0 for padding, (batch, length), padded on either
            side; None means that every position holds a token.

        Returns:
          With a masked language model's head, logits, (batch, length, vocab_size), float32; finite
          at padding, where they mean nothing. With a classifier, logits, (batch, labels), float32.
          Without a head, the features.

        Raises:
          ValueError: if a shape or dtype differs from the above, or length is beyond
            `max_position_embeddings`.
        """
        features = self.features(input_ids, attention_mask)
        if self.head == "classifier":
            features = self._pooled(features, attention_mask)
        return features if self.head is None else self.attend(features)

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Writes `config.json` and safetensors that `transformers` and `from_pretrained` read.

        The tensors keep the dtype of the weights. Weight files that an earlier save left in the
        directory are replaced.

        Args:
          directory: a folder, made if missing.
        """
        _save.save(self, directory)

    def _pooled(self, features: jax.Array, attention_mask: jax.Array | None) -> jax.Array:
        """What a classifier reads, (batch, width), of (batch, length, width)."""
        return _encoder.at_first(features, attention_mask)
