"""The settings of a ModernBERT model, as its `config.json` has them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from zojax.models import _fields, _layer_kinds
from zojax.models._fields import Depth, NotNegative, Size
from zojax.models._layer_kinds import FULL, SLIDING, LayerKind
from zojax.models._rope import Rope
from zojax.models._windowed_config import MixedConfig

_SLOW = Rope(rope_theta=160000.0)
# Settings of decoders, which an encoder has no use for; its norms have an ε of another name.
_ABSENT = (
    *("rms_norm_eps", "num_key_value_heads", "head_dim", "sliding_window", "hidden_act"),
    *("rope_theta", "rope_scaling"),
)


@dataclasses.dataclass(frozen=True)
class ModernBERTConfig(MixedConfig):
    """Settings of a ModernBERT model; names and meanings of Hugging Face's `config.json`.

    Attributes:
      hidden_act: `hidden_activation` of a `config.json`.
      norm_eps: added to the variances of the norms.
      norm_bias: whether the norms have biases.
      attention_bias: whether the linear maps of attention have biases.
      mlp_bias: whether those of the feed-forward blocks have.
      decoder_bias: whether a masked language model's logits have a bias.
      classifier_bias: whether the first linear map of a head has a bias.
      classifier_activation: after this map.
      classifier_pooling: what a classifier reads: the first token ("cls"), or the mean over all.
      local_attention: how many tokens a token sees where a layer has a window: half of them,
        rounded down, on either side.
      global_attn_every_n_layers: of how many layers the first has no window, where `layer_types` is
        None.
      rope_parameters: how fast the layers without a window turn.
      local_rope_theta: θ of those with one.
    """

    model_type: ClassVar[str] = "modernbert"

    vocab_size: Size = 50368
    hidden_size: Size = 768
    intermediate_size: Size = 1152
    num_hidden_layers: Depth = 22
    num_attention_heads: Size = 12
    hidden_act: str = "gelu"
    max_position_embeddings: Size = 8192
    rope_parameters: Rope | Mapping[str, Any] | None = _SLOW
    tie_word_embeddings: bool = True
    pad_token_id: int | None = 50283
    bos_token_id: int | None = 50281
    eos_token_id: int | tuple[int, ...] | None = 50282
    norm_eps: NotNegative = 1e-5
    norm_bias: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    decoder_bias: bool = True
    classifier_bias: bool = False
    classifier_activation: str = "gelu"
    classifier_pooling: str = "cls"
    local_attention: Size = 128
    global_attn_every_n_layers: Size = 3
    local_rope_theta: float = 10000.0

    def __post_init__(self):
        super().__post_init__()
        if self.classifier_pooling not in ("cls", "mean"):
            raise ValueError(
                f"classifier_pooling must be 'cls' or 'mean', not {self.classifier_pooling!r}."
            )

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json`, of transformers 5 or older."""
        given = {name: value for name, value in settings.items() if name not in _ABSENT}
        full, sliding = _layer_kinds.ropes(given)
        if given.get("global_rope_theta"):
            full.setdefault("rope_theta", given["global_rope_theta"])
        usual = given.get("local_rope_theta") or cls.local_rope_theta
        given["rope_parameters"] = full
        scaling = _fields.mapping(settings, "rope_scaling")  # which is of all layers
        given["local_rope_theta"] = _layer_kinds.plain_theta(sliding | scaling, usual)
        given["hidden_act"] = settings.get("hidden_activation") or cls.hidden_act
        return super().from_dict(given)

    def to_dict(self) -> dict[str, Any]:
        """The settings for a `config.json`; old readers find the rotary positions as well."""
        settings = super().to_dict()
        both = {FULL: settings["rope_parameters"], SLIDING: self._sliding_rope.to_dict()}
        given = {name: value for name, value in settings.items() if name not in _ABSENT}
        return given | {
            "hidden_activation": self.hidden_act,
            "rope_parameters": both,
            "global_rope_theta": self.rope_parameters.rope_theta,
        }

    def pattern(self, layer: int) -> str:
        """The type of a layer, counted from 0, where `layer_types` does not say it."""
        return SLIDING if layer % self.global_attn_every_n_layers else FULL

    @property
    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """What differs between the layers besides their weights; windows are on either side."""
        reach = self.local_attention // 2
        kinds = super().layer_kinds
        return tuple(kind if kind.window is None else kind._replace(window=reach) for kind in kinds)

    @property
    def _sliding_rope(self) -> Rope:
        return Rope(rope_theta=self.local_rope_theta)
