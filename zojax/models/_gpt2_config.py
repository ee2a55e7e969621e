"""The settings of a GPT-2 model, as its `config.json` has them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from zojax.models import _config
from zojax.models._fields import Depth, NotNegative, Size


@dataclasses.dataclass(frozen=True)
class GPT2Config(_config.Config):
    """Settings of a GPT-2 model; names, meanings and defaults of Hugging Face's `config.json`.

    Attributes:
      vocab_size: rows of the token table.
      n_positions: the longest sequence.
      n_embd: width of the layers.
      n_layer: depth.
      n_head: heads; divides `n_embd`.
      n_inner: inner width of the feed-forward blocks; None means 4 `n_embd`.
      activation_function: between the two maps of a feed-forward block.
      layer_norm_epsilon: added to the variances of the norms.
      initializer_range: standard deviation of new weights.
      scale_attn_weights: whether products of queries and keys are divided by √(head width).
      scale_attn_by_inverse_layer_idx: whether those of the l-th layer are also divided by l.
      reorder_and_upcast_attn: whether these products are formed in float32. They always are here,
        so this is only kept for files.
      tie_word_embeddings: whether the head is the token table.
      pad_token_id: the token of padding; like the next two, kept for tokenizers and generation.
      bos_token_id: the token that starts a text.
      eos_token_id: the token, or the tokens, that end one.
      labels: names of the outputs of a classifier.

    Raises:
      ValueError: if a setting is not what its annotation says, or the heads do not divide `n_embd`.
    """

    model_type: ClassVar[str] = "gpt2"

    vocab_size: Size = 50257
    n_positions: Size = 1024
    n_embd: Size = 768
    n_layer: Depth = 12
    n_head: Size = 12
    n_inner: Size | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: NotNegative = 1e-5
    initializer_range: NotNegative = 0.02
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    reorder_and_upcast_attn: bool = False
    tie_word_embeddings: bool = True
    pad_token_id: int | None = None
    bos_token_id: int | None = 50256
    eos_token_id: int | tuple[int, ...] | None = 50256
    labels: tuple[str, ...] = _config.unnamed(2)

    def __post_init__(self):
        super().__post_init__()
        if self.n_inner is None:
            object.__setattr__(self, "n_inner", 4 * self.n_embd)
        _config.check_divides(self, "n_head", "n_embd")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json` and leaves the rest.

        Raises:
          ValueError: also for the half of an encoder-decoder.
        """
        if settings.get("add_cross_attention"):
            raise ValueError(
                "add_cross_attention is true: this is the decoder of an encoder-decoder, and "
                "zojax.models has GPT-2 on its own."
            )
        return super().from_dict(settings)

    @property
    def max_position_embeddings(self) -> int:
        """`n_positions`, by the name that the other families have for it."""
        return self.n_positions
