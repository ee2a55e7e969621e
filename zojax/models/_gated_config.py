"""The settings that the families with gated layers and rotary positions share."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from zojax.models import _config, _fields
from zojax.models._fields import Depth, NotNegative, Size
from zojax.models._rotary import Rope

_PLAIN = Rope()


@dataclasses.dataclass(frozen=True)
class GatedConfig(_config.Config):
    """Settings of a decoder with gated layers; names and meanings of Hugging Face's `config.json`.

    Attributes:
      vocab_size: rows of the token table.
      hidden_size: width of the layers.
      intermediate_size: inner width of the feed-forward blocks.
      num_hidden_layers: depth.
      num_attention_heads: heads of the queries.
      num_key_value_heads: heads of keys and values, each for a group of query heads; divides
        `num_attention_heads`, which None means.
      head_dim: width of a head, even; None means hidden_size / num_attention_heads.
      hidden_act: the activation function of the gate.
      max_position_embeddings: the longest sequence.
      rms_norm_eps: added to mean squares in the norms.
      rope_parameters: how fast the rotary positions turn; a dictionary is read as in a
        `config.json`, and None is the default.
      tie_word_embeddings: whether the head is the token table.
      initializer_range: standard deviation of new weights.
      pad_token_id: the token of padding; like the next two, kept for tokenizers and generation.
      bos_token_id: the token that starts a text.
      eos_token_id: the token, or the tokens, that end one.
      labels: names of the outputs of a classifier.

    Raises:
      ValueError: if a setting is not what its annotation says, heads do not divide what they have
        to, or the rotary positions are of a kind that is not offered here.
    """

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Depth = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    hidden_act: str = "silu"
    max_position_embeddings: Size = 2048
    rms_norm_eps: NotNegative = 1e-6
    rope_parameters: Rope = _PLAIN
    tie_word_embeddings: bool = False
    initializer_range: NotNegative = 0.02
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    labels: tuple[str, ...] = _config.unnamed(2)

    def __post_init__(self):
        object.__setattr__(self, "rope_parameters", self._rope())
        super().__post_init__()
        if self.num_key_value_heads is None:
            object.__setattr__(self, "num_key_value_heads", self.num_attention_heads)
        if self.head_dim is None:
            _config.check_divides(self, "num_attention_heads", "hidden_size")
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_attention_heads)
        _config.check_divides(self, "num_key_value_heads", "num_attention_heads")
        if self.head_dim % 2:
            raise ValueError(f"head_dim = {self.head_dim} must be even: its halves turn together.")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json`, of transformers 5 or older.

        Raises:
          ValueError: if a setting that changes what the model computes is not offered here.
        """
        rope = dict(_object(settings, "rope_scaling") or _object(settings, "rope_parameters"))
        for name in ("rope_theta", "partial_rotary_factor"):
            if settings.get(name) is not None:
                rope.setdefault(name, settings[name])
        return super().from_dict({**settings, "rope_parameters": rope})

    def to_dict(self) -> dict[str, Any]:
        """The settings for a `config.json`; old readers find the rotary positions as well."""
        rope = self.rope_parameters.to_dict()
        old = {"rope_theta": rope["rope_theta"]}
        if self.rope_parameters.rope_type != "default":
            old["rope_scaling"] = {name: x for name, x in rope.items() if name != "rope_theta"}
        return super().to_dict() | {"rope_parameters": rope} | old

    def _rope(self) -> Rope:
        rope = self.rope_parameters
        if isinstance(rope, Rope):
            return rope
        rope = _object({"rope_parameters": rope}, "rope_parameters")
        if "llama3" in (rope.get("rope_type"), rope.get("type")):
            rope.setdefault("original_max_position_embeddings", self.max_position_embeddings)
        return Rope.from_dict(rope)


def _object(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A setting that is an object of settings; empty where there is none."""
    value = settings.get(name)
    if not isinstance(value, Mapping | None):
        raise ValueError(f"{name} must be an object or null, not {_fields.shown(value)}.")
    return dict(value or {})


def refuse_windows(settings: Mapping[str, Any], layers: int) -> None:
    """Raises ValueError if, by a `config.json` of Qwen, any of the layers sees a window alone."""
    kinds = settings.get("layer_types")
    if kinds is None:
        used = settings.get("use_sliding_window") and settings.get("sliding_window", 4096)
        first = settings.get("max_window_layers", 28)
        if used and not isinstance(first, int):
            raise ValueError(f"max_window_layers must be an integer, not {_fields.shown(first)}.")
        kinds = ["sliding_attention"] if used and first < layers else []
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise ValueError(
            f"layer_types must be a list of names or null, not {_fields.shown(kinds)}."
        )
    if other := set(kinds) - {"full_attention"}:
        raise ValueError(
            f"layers have {', '.join(sorted(other))} (layer_types, or use_sliding_window with "
            "max_window_layers); zojax.models has full_attention only."
        )
