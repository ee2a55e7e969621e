"""The settings that Gemma 2 and Gemma 3 share."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from zojax.models._fields import Depth, Size
from zojax.models._windowed_config import MixedConfig

_ACTIVATION = "gelu_pytorch_tanh"


@dataclasses.dataclass(frozen=True)
class GemmaConfig(MixedConfig):
    """Settings of a Gemma 2 or Gemma 3 model of text.

    Attributes:
      hidden_act: `hidden_activation` of a `config.json`.
      query_pre_attn_scalar: products of queries and keys are divided by its root; above 0.
      attn_logit_softcapping: c of the products, of Gemma 2 alone.
      final_logit_softcapping: c of the logits of a language model; None for no bound.
      attention_bias: whether the linear maps of attention have biases.

    Raises:
      ValueError: also for a number that is not above 0.
    """

    vocab_size: Size = 256000
    hidden_size: Size = 2304
    intermediate_size: Size = 9216
    num_hidden_layers: Depth = 26
    num_attention_heads: Size = 8
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = 256
    hidden_act: str = _ACTIVATION
    max_position_embeddings: Size = 8192
    tie_word_embeddings: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | tuple[int, ...] | None = 1
    query_pre_attn_scalar: float = 256
    attn_logit_softcapping: float | None = None
    final_logit_softcapping: float | None = None
    attention_bias: bool = False

    def __post_init__(self):
        super().__post_init__()
        for name in ("query_pre_attn_scalar", *_CAPS):
            value = getattr(self, name)
            if not (value is None and name in _CAPS) and not (
                isinstance(value, (int, float)) and value > 0
            ):
                raise ValueError(f"{name} must be a number above 0, not {value!r}.")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json`, and refuses an encoder."""
        if settings.get("use_bidirectional_attention"):
            raise ValueError(
                f"use_bidirectional_attention is true; zojax.models has {cls.model_type} only as a "
                "decoder."
            )
        activation = settings.get("hidden_activation") or _ACTIVATION
        return super().from_dict({**settings, "hidden_act": activation})

    def to_dict(self) -> dict[str, Any]:
        """The settings for a `config.json`."""
        return super().to_dict() | {"hidden_activation": self.hidden_act}


_CAPS = ("attn_logit_softcapping", "final_logit_softcapping")
