"""Qwen2 and Qwen2.5 as a Flax NNX module.

Equations (1) to (5) of `zojax.models.llama`, with biases on queries, keys and values and nowhere
else. All layers see all tokens before; a checkpoint that limits some to a sliding window is
refused.

Reference: Yang et al., "Qwen2 Technical Report", arXiv:2407.10671. Names of settings, modules and
tensors are those of the Hugging Face files.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from zojax.models import _gated_config
from zojax.models._fields import Size
from zojax.models._gated_config import GatedConfig
from zojax.models._gated_decoder import GatedDecoder
from zojax.models._gated_layers import Extras


@dataclasses.dataclass(frozen=True)
class Qwen2Config(GatedConfig):
    """Settings of a Qwen2 model: those of `GatedConfig`."""

    model_type: ClassVar[str] = "qwen2"

    vocab_size: Size = 151936
    intermediate_size: Size = 22016
    num_key_value_heads: Size | None = 32
    max_position_embeddings: Size = 32768

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json`, and refuses sliding windows."""
        config = super().from_dict(settings)
        _gated_config.refuse_windows(settings, config.num_hidden_layers)
        return config


class Qwen2(GatedDecoder):
    """A model of the Qwen2 family.

    Attributes:
      config: the settings, a `Qwen2Config`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.
    """

    config_class = Qwen2Config
    architectures: ClassVar = {
        "language_model": "Qwen2ForCausalLM",
        "classifier": "Qwen2ForSequenceClassification",
        None: "Qwen2Model",
    }

    @staticmethod
    def _extras(config: Qwen2Config) -> Extras:
        del config
        return Extras(qkv_bias=True)
