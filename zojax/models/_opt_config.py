"""The settings of an OPT model, as its `config.json` has them."""

import dataclasses
from typing import ClassVar

from zojax.models import _config
from zojax.models._fields import Depth, NotNegative, Size


@dataclasses.dataclass(frozen=True)
class OPTConfig(_config.Config):
    """Settings of an OPT model; names, meanings and defaults of Hugging Face's `config.json`.

    Attributes:
      vocab_size: rows of the token table.
      hidden_size: width of the layers.
      num_hidden_layers: depth.
      ffn_dim: inner width of the feed-forward blocks.
      num_attention_heads: heads; divides `hidden_size`.
      max_position_embeddings: the longest sequence.
      word_embed_proj_dim: width of the token table; None means `hidden_size`.
      do_layer_norm_before: True for pre-norm layers, False for post-norm ones.
      activation_function: between the two maps of a feed-forward block.
      enable_bias: whether the linear maps of the layers have biases.
      layer_norm_elementwise_affine: whether the norms have scales and biases.
      tie_word_embeddings: whether the head is the token table.
      init_std: standard deviation of new weights.
      pad_token_id: the token of padding; like the next two, kept for tokenizers and generation.
      bos_token_id: the token that starts a text.
      eos_token_id: the token, or the tokens, that end one.
      labels: names of the outputs of a classifier.
      _remove_final_layer_norm: True in some old pre-norm checkpoints that lack the last norm.

    Raises:
      ValueError: if a setting is not what its annotation says, or the heads do not divide
        `hidden_size`.
    """

    model_type: ClassVar[str] = "opt"

    vocab_size: Size = 50272
    hidden_size: Size = 768
    num_hidden_layers: Depth = 12
    ffn_dim: Size = 3072
    num_attention_heads: Size = 12
    max_position_embeddings: Size = 2048
    word_embed_proj_dim: Size | None = None
    do_layer_norm_before: bool = True
    activation_function: str = "relu"
    enable_bias: bool = True
    layer_norm_elementwise_affine: bool = True
    tie_word_embeddings: bool = True
    init_std: NotNegative = 0.02
    pad_token_id: int | None = 1
    bos_token_id: int | None = 2
    eos_token_id: int | tuple[int, ...] | None = 2
    labels: tuple[str, ...] = _config.unnamed(2)
    _remove_final_layer_norm: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.word_embed_proj_dim is None:
            object.__setattr__(self, "word_embed_proj_dim", self.hidden_size)
        _config.check_divides(self, "num_attention_heads", "hidden_size")
