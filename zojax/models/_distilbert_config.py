"""The settings of a DistilBERT model, as its `config.json` has them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from zojax.models._bert_config import BERTConfig
from zojax.models._fields import Depth

# What the family calls the settings of BERT.
_NAMES = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "hidden_dim": "intermediate_size",
    "activation": "hidden_act",
}
_ABSENT = ("type_vocab_size", "layer_norm_eps")


@dataclasses.dataclass(frozen=True)
class DistilBERTConfig(BERTConfig):
    """Settings of a DistilBERT model: those of BERT, half as many layers and no types of tokens."""

    model_type: ClassVar[str] = "distilbert"

    num_hidden_layers: Depth = 6
    type_vocab_size: int = 0

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here, by the family's own names, from a parsed `config.json`."""
        given = {name: value for name, value in settings.items() if name not in _ABSENT}
        own = {ours: given[theirs] for theirs, ours in _NAMES.items() if theirs in given}
        return super().from_dict(given | own)

    def to_dict(self) -> dict[str, Any]:
        """The settings for a `config.json`, by the family's own names."""
        settings = super().to_dict()
        own = {theirs: settings.pop(ours) for theirs, ours in _NAMES.items()}
        return {name: x for name, x in settings.items() if name not in _ABSENT} | own
