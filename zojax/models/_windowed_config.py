"""Settings of decoders of which all layers, or some, see no further than a window."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from zojax.models import _fields
from zojax.models._fields import Size
from zojax.models._gated_config import GatedConfig
from zojax.models._layer_kinds import FULL, SLIDING, LayerKind
from zojax.models._rope import Rope


@dataclasses.dataclass(frozen=True)
class WindowedConfig(GatedConfig):
    """Settings of a decoder whose layers all have the same window.

    Attributes:
      sliding_window: how many tokens a token sees, itself included; None for all.
    """

    sliding_window: Size | None = None

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json`, and refuses layers that differ."""
        config = super().from_dict(settings)
        alike = FULL if config.sliding_window is None else SLIDING
        types = settings.get("layer_types") or []
        if not isinstance(types, list | tuple):
            raise ValueError(
                f"layer_types must be a list of names or null, not {_fields.shown(types)}."
            )
        _check_types(types, config, {alike})
        return config

    @property
    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """What differs between the layers besides their weights, one for each."""
        kind = LayerKind(self.sliding_window, self.rope_parameters)
        return (kind,) * self.num_hidden_layers


@dataclasses.dataclass(frozen=True)
class MixedConfig(GatedConfig):
    """Settings of a decoder whose layers may differ in whether they have a window.

    Attributes:
      sliding_window: how many tokens a token sees, itself included, where a layer has a window.
      layer_types: "full_attention" or "sliding_attention" for each layer; None for what the family
        does, its `pattern`.

    Raises:
      ValueError: also for unknown or too few `layer_types`.
    """

    sliding_window: Size | None = 4096
    layer_types: tuple[str, ...] | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.layer_types is not None:
            allowed = {FULL} if self.sliding_window is None else {FULL, SLIDING}
            _check_types(self.layer_types, self, allowed)
            if len(self.layer_types) != self.num_hidden_layers:
                raise ValueError(
                    f"layer_types names {len(self.layer_types)} layers; num_hidden_layers is "
                    f"{self.num_hidden_layers}."
                )

    def pattern(self, layer: int) -> str:
        """The type of a layer, counted from 0, where `layer_types` does not say it."""
        raise NotImplementedError

    @property
    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """What differs between the layers besides their weights, one for each."""
        of_type = {
            FULL: LayerKind(None, self.rope_parameters),
            SLIDING: LayerKind(self.sliding_window, self._sliding_rope),
        }
        return tuple(of_type[kind] for kind in self._types)

    @property
    def _types(self) -> tuple[str, ...]:
        if self.layer_types is not None:
            return self.layer_types
        return tuple(map(self.pattern, range(self.num_hidden_layers)))

    @property
    def _sliding_rope(self) -> Rope:
        """How layers with a window turn."""
        return self.rope_parameters


def _check_types(types: tuple[str, ...], config: GatedConfig, allowed: set[str]) -> None:
    if other := {str(kind) for kind in types} - allowed:
        raise ValueError(
            f"layer_types has {', '.join(sorted(other))}; with sliding_window = "
            f"{config.sliding_window} {config.model_type} has {', '.join(sorted(allowed))}."
        )
