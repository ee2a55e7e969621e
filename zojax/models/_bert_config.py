"""The settings of a BERT model, as its `config.json` has them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from zojax.models import _config
from zojax.models._fields import Depth, NotNegative, Size

# What other values of these settings ask for is another model.
_ONLY = {"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"}


@dataclasses.dataclass(frozen=True)
class BERTConfig(_config.Config):
    """Settings of a BERT model; names, meanings and defaults of Hugging Face's `config.json`.

    Attributes:
      vocab_size: rows of the token table.
      hidden_size: width of the layers.
      num_hidden_layers: depth.
      num_attention_heads: heads; divides `hidden_size`.
      intermediate_size: inner width of the feed-forward blocks.
      hidden_act: between the two maps of a feed-forward block.
      max_position_embeddings: rows of the position table.
      type_vocab_size: rows of the table of token types.
      layer_norm_eps: added to the variances of the norms.
      initializer_range: standard deviation of new weights.
      tie_word_embeddings: whether a masked language model's head is the token table; it has to be.
      pad_token_id: the token of padding; like the next two, kept for tokenizers.
      bos_token_id: the token that starts a text.
      eos_token_id: the token, or the tokens, that end one.
      labels: names of the outputs of a classifier.

    Raises:
      ValueError: if a setting is not what its annotation says, or the heads do not divide
        `hidden_size`.
    """

    model_type: ClassVar[str] = "bert"

    vocab_size: Size = 30522
    hidden_size: Size = 768
    num_hidden_layers: Depth = 12
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: str = "gelu"
    max_position_embeddings: Size = 512
    type_vocab_size: Size = 2
    layer_norm_eps: NotNegative = 1e-12
    initializer_range: NotNegative = 0.02
    tie_word_embeddings: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    labels: tuple[str, ...] = _config.unnamed(2)

    def __post_init__(self):
        super().__post_init__()
        _config.check_divides(self, "num_attention_heads", "hidden_size")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json` and leaves the rest.

        Raises:
          ValueError: also for a decoder, and for relative positions.
        """
        for name, value in _ONLY.items():
            if settings.get(name, value) != value:
                raise ValueError(
                    f"{name} is {settings[name]!r}; zojax.models has {cls.model_type} only as an "
                    f"encoder with absolute positions, where it is {value!r}."
                )
        return super().from_dict(settings)

    @property
    def first_position(self) -> int:
        """The row of the position table that belongs to the first token."""
        return 0

    @property
    def longest(self) -> int:
        """How many tokens a sequence may have."""
        return self.max_position_embeddings - self.first_position
