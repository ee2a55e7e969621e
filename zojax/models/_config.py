"""What the settings of all families have in common."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self


class Config:
    """Base of the frozen dataclasses that hold what a `config.json` says.

    Attributes:
      model_type: what the family is called in `config.json`.
      labels: names of the outputs of a classifier; a field of every family.
    """

    model_type: ClassVar[str]
    labels: tuple[str, ...]

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json` and leaves the rest.

        Raises:
          ValueError: if the checkpoint is quantized, or a setting is out of range.
        """
        if settings.get("quantization_config"):
            raise ValueError(
                "quantization_config is set; quantized checkpoints cannot be read, save the model "
                "in a floating dtype."
            )
        names = {field.name for field in dataclasses.fields(cls)}
        given = {name: value for name, value in settings.items() if name in names}
        if "id2label" in settings:
            labels = sorted(settings["id2label"].items(), key=lambda item: int(item[0]))
            given["labels"] = tuple(label for _, label in labels)
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """The settings for a `config.json`, with the `model_type` that finds this family again."""
        settings = {"model_type": self.model_type} | dataclasses.asdict(self)
        labels = settings.pop("labels")
        if labels != unnamed(2):  # what transformers takes where a file says nothing
            settings["id2label"] = {str(label): name for label, name in enumerate(labels)}
            settings["label2id"] = {name: label for label, name in enumerate(labels)}
        return settings


def unnamed(count: int) -> tuple[str, ...]:
    """Labels without names, as transformers calls them."""
    return tuple(f"LABEL_{label}" for label in range(count))


def check_sizes(config: Config, names: Iterable[str]) -> None:
    """Raises ValueError unless each of these settings is an integer of at least 1."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, not {value!r}.")


def check_divides(config: Config, divisor: str, dividend: str) -> None:
    """Raises ValueError unless one setting divides the other."""
    by, what = getattr(config, divisor), getattr(config, dividend)
    if what % by:
        raise ValueError(f"{divisor} = {by} must divide {dividend} = {what}.")


def hashable(token_ids: Any) -> Any:
    """Tuples for lists: JSON has no tuples, and a config is hashed."""
    return tuple(token_ids) if isinstance(token_ids, list) else token_ids
