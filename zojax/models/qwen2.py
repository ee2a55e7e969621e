"""Qwen2 and Qwen2.5 as a Flax NNX module.

Equations (1) to (5) of `zojax.models.llama`, with biases on queries, keys and values and nowhere
else. Some layers may see no further than a sliding window.

Reference: Yang et al., "Qwen2 Technical Report", arXiv:2407.10671. Names of settings, modules and
tensors are those of the Hugging Face files.
"""

import dataclasses
from typing import ClassVar

from zojax.models._gated_decoder import GatedDecoder
from zojax.models._gated_layers import Extras
from zojax.models._qwen_config import QwenConfig


@dataclasses.dataclass(frozen=True)
class Qwen2Config(QwenConfig):
    """Settings of a Qwen2 model: those of `QwenConfig`."""

    model_type: ClassVar[str] = "qwen2"


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
