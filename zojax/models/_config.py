"""What the settings of all families have in common."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from zojax.models import _fields

# Where checkpoints say that their weights are not what their names and shapes look like.
_QUANTIZED = ("quantization_config", "compression_config")
# The largest number of classes that is believed: a name is made for each.
_MOST_LABELS = 2**20


class Config:
    """Base of the frozen dataclasses that hold what a `config.json` says.

    Every field is checked against its annotation (see `zojax.models._fields`); a family calls
    `super().__post_init__()` before it looks at how its fields go together.

    Attributes:
      model_type: what the family is called in `config.json`.
      labels: names of the outputs of a classifier; a field of every family.
    """

    model_type: ClassVar[str]
    labels: tuple[str, ...]

    @property
    def longest(self) -> int:
        """How many tokens a sequence may have, prefix included; of models of text."""
        return self.max_position_embeddings

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):  # JSON has no tuples, and a config is hashed
                object.__setattr__(self, field.name, tuple(value))
        _fields.check(self)
        if not self.labels:
            raise ValueError("labels must name at least one output of a classifier, not ().")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes what is named here from a parsed `config.json` and leaves the rest.

        Raises:
          ValueError: if the checkpoint is quantized, or a setting is of another type than it should
            be, or out of range.

        Warns:
          UserWarning: if `num_labels` and `id2label` disagree; the names count.
        """
        _refuse_quantized(settings)
        names = {field.name for field in dataclasses.fields(cls)} - {"labels"}
        given = {name: value for name, value in settings.items() if name in names}
        if labels := _labels(settings):
            given["labels"] = labels
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


def check_divides(config: Config, divisor: str, dividend: str) -> None:
    """Raises ValueError unless one setting divides the other."""
    by, what = getattr(config, divisor), getattr(config, dividend)
    if what % by:
        raise ValueError(f"{divisor} = {by} must divide {dividend} = {what}.")


def check_num_labels(count: Any) -> None:
    """Raises ValueError unless this can be the number of outputs of a classifier."""
    is_integer = isinstance(count, int) and not isinstance(count, bool)
    if not is_integer or not 1 <= count <= _MOST_LABELS:
        raise ValueError(
            f"num_labels must be an integer from 1 to {_MOST_LABELS}, not {_fields.shown(count)}."
        )


def _labels(settings: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of the classes, made up where there is a number alone; None for neither."""
    names, count = settings.get("id2label"), settings.get("num_labels")
    if count is not None:
        check_num_labels(count)
    if names is None:
        return None if count is None else unnamed(count)
    if not isinstance(names, Mapping) or not names:
        raise ValueError(
            "id2label must be an object from the numbers of the classes to their names, or null, "
            f"not {_fields.shown(names)}."
        )
    # Keys are texts in JSON; a dictionary of Python may have numbers.
    labels = [names.get(str(label), names.get(label)) for label in range(len(names))]
    if not all(isinstance(label, str) for label in labels):
        raise ValueError(
            f'id2label must have the keys "0" to "{len(names) - 1}", each with a name, not '
            f"{_fields.shown(names)}."
        )
    if count not in (None, len(labels)):
        warnings.warn(
            f"num_labels is {count}, but id2label names {len(labels)} classes; taking these.",
            stacklevel=2,
        )
    return tuple(labels)


def _refuse_quantized(settings: Mapping[str, Any]) -> None:
    for name in _QUANTIZED:
        how = settings.get(name)
        if not how:
            continue
        method = how.get("quant_method", how) if isinstance(how, Mapping) else how
        raise ValueError(
            f"{name} has quant_method = {_fields.shown(method)}: quantized checkpoints cannot be "
            "read; take the model that it was made of, or save it in a floating dtype."
        )
