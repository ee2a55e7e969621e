"""The settings that the families with gated layers and rotary positions share."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from zojax.models import _config, _fields
from zojax.models._fields import Depth, NotNegative, Size
from zojax.models._layer_kinds import LayerKind
from zojax.models._rope import Rope

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
      rope_parameters: how fast the rotary positions turn, a `Rope`; a dictionary is read as in a
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

    # Whether a checkpoint may turn a part of each head only.
    _turns_parts: ClassVar[bool] = False

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
    rope_parameters: Rope | Mapping[str, Any] | None = _PLAIN
    tie_word_embeddings: bool = False
    initializer_range: NotNegative = 0.02
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    labels: tuple[str, ...] = _config.unnamed(2)

    def __post_init__(self):
        super().__post_init__()
        if self.num_key_value_heads is None:
            object.__setattr__(self, "num_key_value_heads", self.num_attention_heads)
        if self.head_dim is None:
            _config.check_divides(self, "num_attention_heads", "hidden_size")
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_attention_heads)
        _config.check_divides(self, "num_key_value_heads", "num_attention_heads")
        if self.head_dim % 2:
            raise ValueError(f"head_dim = {self.head_dim} must be even: its halves turn together.")
        object.__setattr__(self, "rope_parameters", self._rope(self.rope_parameters))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json`, of transformers 5 or older.

        Raises:
          ValueError: if a setting that changes what the model computes is not offered here.
        """
        rope = _fields.mapping(settings, "rope_scaling")
        rope = rope or _fields.mapping(settings, "rope_parameters")
        for name in ("rope_theta", "partial_rotary_factor"):
            if settings.get(name) is not None:
                rope.setdefault(name, settings[name])
        return super().from_dict({**settings, "rope_parameters": rope})

    @property
    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """What differs between the layers besides their weights, one for each."""
        return (LayerKind(rope=self.rope_parameters),) * self.num_hidden_layers

    @property
    def longest(self) -> int:
        """How many tokens a sequence may have, prefix included."""
        return max(self.max_position_embeddings, self.rope_parameters.reach)

    def to_dict(self) -> dict[str, Any]:
        """The settings for a `config.json`; old readers find the rotary positions as well."""
        rope = self.rope_parameters.to_dict()
        old = {"rope_theta": rope["rope_theta"]}
        if self.rope_parameters.rope_type != "default":
            old["rope_scaling"] = {name: x for name, x in rope.items() if name != "rope_theta"}
        if self._turns_parts:
            old["partial_rotary_factor"] = rope.setdefault("partial_rotary_factor", 1.0)
        return super().to_dict() | {"rope_parameters": rope} | old

    def _rope(self, given: Rope | Mapping[str, Any] | None) -> Rope:
        rope = given
        if not isinstance(given, Rope):
            usual = {"rope_theta": type(self).rope_parameters.rope_theta}
            rope = Rope.of_model(usual | dict(given or {}), self.max_position_embeddings)
        if rope.partial_rotary_factor is not None and not self._turns_parts:
            raise ValueError(
                f"partial_rotary_factor is {rope.partial_rotary_factor!r}; in {self.model_type} "
                "whole heads turn, 1.0."
            )
        _check_planes(rope, self.head_dim)
        return rope


def _check_planes(rope: Rope, width: int) -> None:
    """Raises ValueError unless the entries that turn are pairs, each with its factors."""
    turned = rope.turned(width)
    if turned < 2 or turned % 2:
        raise ValueError(
            f"partial_rotary_factor = {rope.partial_rotary_factor} of head_dim = {width} must be "
            f"an even number of entries: halves turn together. It is {turned}."
        )
    for name in ("short_factor", "long_factor"):
        factors = getattr(rope, name)
        if factors is not None and len(factors) != turned // 2:
            raise ValueError(
                f"{name} in rope_parameters has {len(factors)} numbers; heads of width {width} "
                f"need {turned // 2}, one for each pair of entries that turns."
            )
