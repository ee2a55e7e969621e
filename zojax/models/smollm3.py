"""SmolLM3 as a Flax NNX module.

Equations (1) to (5) of `zojax.models.llama`, but that the heads of some layers, every fourth unless
`no_rope_layers` says otherwise, do not turn: R(p) = 1 there, and order comes from the causal mask
and the other layers.

Reference: Bakouch et al., "SmolLM3: smol, multilingual, long-context reasoner", Hugging Face, 2025;
Yang et al., "RoPE to NoPE and Back Again", arXiv:2501.18795. Names of settings, modules and tensors
are those of the Hugging Face files.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from zojax.models._fields import Depth, Size
from zojax.models._gated_decoder import GatedDecoder
from zojax.models._gated_layers import Extras
from zojax.models._layer_kinds import FULL, SLIDING, LayerKind
from zojax.models._rope import Rope
from zojax.models._windowed_config import MixedConfig

_SLOW = Rope(rope_theta=2000000.0)


@dataclasses.dataclass(frozen=True)
class SmolLM3Config(MixedConfig):
    """Settings of a SmolLM3 model: those of `MixedConfig`, and which layers turn.

    Attributes:
      no_rope_layers: 1 for each layer that turns and 0 for each that does not; None for what the
        interval says.
      no_rope_layer_interval: each layer whose number, from 1 on, this divides does not turn.
      use_sliding_window: whether layers that do not turn have a window.
      attention_bias: whether the linear maps of attention have biases.
      mlp_bias: whether those of the feed-forward blocks have.

    Raises:
      ValueError: also if `no_rope_layers` has another length than there are layers.
    """

    model_type: ClassVar[str] = "smollm3"

    vocab_size: Size = 128256
    hidden_size: Size = 2048
    num_hidden_layers: Depth = 36
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 4
    max_position_embeddings: Size = 32768
    rope_parameters: Rope | Mapping[str, Any] | None = _SLOW
    tie_word_embeddings: bool = True
    pad_token_id: int | None = 128004
    bos_token_id: int | None = 128000
    eos_token_id: int | tuple[int, ...] | None = 128001
    sliding_window: Size | None = None
    no_rope_layers: tuple[int, ...] | None = None
    no_rope_layer_interval: Size = 4
    use_sliding_window: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False

    def __post_init__(self):
        super().__post_init__()
        turning = self.no_rope_layers
        if turning is not None and len(turning) < self.num_hidden_layers:
            raise ValueError(
                f"no_rope_layers names {len(turning)} layers; num_hidden_layers is "
                f"{self.num_hidden_layers}."
            )

    def turns(self, layer: int) -> bool:
        """Whether the heads of a layer, counted from 0, turn."""
        if self.no_rope_layers is not None:
            return bool(self.no_rope_layers[layer])
        return (layer + 1) % self.no_rope_layer_interval != 0

    def pattern(self, layer: int) -> str:
        """The type of a layer, counted from 0, where `layer_types` does not say it."""
        windowed = self.use_sliding_window and self.sliding_window is not None
        return SLIDING if windowed and not self.turns(layer) else FULL

    @property
    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """What differs between the layers besides their weights, one for each."""
        kinds = enumerate(super().layer_kinds)
        return tuple(kind if self.turns(i) else kind._replace(rope=None) for i, kind in kinds)


class SmolLM3(GatedDecoder):
    """A model of the SmolLM3 family.

    Attributes:
      config: the settings, a `SmolLM3Config`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.
    """

    config_class = SmolLM3Config
    architectures: ClassVar = {
        "language_model": "SmolLM3ForCausalLM",
        "classifier": "SmolLM3ForSequenceClassification",
        None: "SmolLM3Model",
    }

    @staticmethod
    def _extras(config: SmolLM3Config) -> Extras:
        return Extras(
            qkv_bias=config.attention_bias,
            out_bias=config.attention_bias,
            mlp_bias=config.mlp_bias,
        )
