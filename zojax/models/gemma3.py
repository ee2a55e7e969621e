"""Gemma 3 as a Flax NNX module: the models of text, `gemma3_text`.

Equations (1') to (5') of `zojax.models.gemma2` without caps in (3'), with norms of every head's
queries and keys before they are turned:

    q_h = R(p) norm'(n Q_h),    k_g = R(p) norm'(n K_g)                              (2')

Of each six layers all but the last see no further than `sliding_window` tokens, unless
`layer_types` says otherwise. These turn by `rope_local_base_freq`, the others by `rope_parameters`.

Reference: Gemma Team, "Gemma 3 Technical Report", arXiv:2503.19786. Names of settings, modules and
tensors are those of the Hugging Face files.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from zojax.models import _layer_kinds
from zojax.models._fields import Size
from zojax.models._gated_decoder import GatedDecoder
from zojax.models._gated_layers import Extras, SandwichLayer
from zojax.models._gemma_config import GemmaConfig
from zojax.models._layer_kinds import FULL, SLIDING
from zojax.models._rope import Rope

_SLOW = Rope(rope_theta=1000000.0)


@dataclasses.dataclass(frozen=True)
class Gemma3Config(GemmaConfig):
    """Settings of a Gemma 3 model of text: those of `GemmaConfig`, and of its two kinds of layers.

    Attributes:
      rope_parameters: how fast the layers without a window turn.
      rope_local_base_freq: θ of those with one.
      sliding_window_pattern: of how many layers the last has no window, where `layer_types` is
        None.
    """

    model_type: ClassVar[str] = "gemma3_text"

    vocab_size: Size = 262208
    max_position_embeddings: Size = 131072
    rope_parameters: Rope | Mapping[str, Any] | None = _SLOW
    rope_local_base_freq: float = 10000.0
    sliding_window_pattern: Size = 6

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json`, of transformers 5 or older."""
        full, sliding = _layer_kinds.ropes(settings)
        usual = settings.get("rope_local_base_freq") or cls.rope_local_base_freq
        local = _layer_kinds.plain_theta(sliding, usual)
        ropes = {"rope_parameters": full, "rope_local_base_freq": local}
        return super().from_dict({**settings, **ropes})

    def to_dict(self) -> dict[str, Any]:
        """The settings for a `config.json`; old readers find the rotary positions as well."""
        settings = super().to_dict()
        both = {FULL: settings["rope_parameters"], SLIDING: self._sliding_rope.to_dict()}
        return settings | {"rope_parameters": both}

    def pattern(self, layer: int) -> str:
        """The type of a layer, counted from 0, where `layer_types` does not say it."""
        return SLIDING if (layer + 1) % self.sliding_window_pattern else FULL

    @property
    def _sliding_rope(self) -> Rope:
        return Rope(rope_theta=self.rope_local_base_freq)


class Gemma3(GatedDecoder):
    """A model of text of the Gemma 3 family.

    Attributes:
      config: the settings, a `Gemma3Config`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.
    """

    config_class = Gemma3Config
    architectures: ClassVar = {
        "language_model": "Gemma3ForCausalLM",
        "classifier": "Gemma3TextForSequenceClassification",
        None: "Gemma3TextModel",
    }
    _layer = SandwichLayer

    @staticmethod
    def _extras(config: Gemma3Config) -> Extras:
        return Extras(
            qkv_bias=config.attention_bias,
            out_bias=config.attention_bias,
            qk_norm=True,
            unit_offset=True,
            scale=config.query_pre_attn_scalar**-0.5,
            logit_cap=config.final_logit_softcapping,
            table_scale=config.hidden_size**0.5,
        )
