"""What a task is: a template, the words to choose from, and how choices are judged."""

import dataclasses
import string
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_OPTION = "{option}"


@dataclasses.dataclass(frozen=True)
class Example:
    """One example in words.

    Attributes:
      prompt: the text without an option.
      candidates: the text with each option in turn.
      label: index of the right candidate.
    """

    prompt: str
    candidates: tuple[str, ...]
    label: int


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Share of examples whose prediction is the label."""
    return float(np.mean(predictions == labels))


@dataclasses.dataclass(frozen=True)
class Task:
    """A classification task in words.

    Attributes:
      template: text with fields of the data in braces, ending in "{option}". The prompt is
        what stands before it, without the spaces at its end: with most tokenizers the space
        before a word belongs to the token of the word.
      options: the words to choose from, in the order of the labels.
      metric: judges predicted against true labels.
    """

    template: str
    options: tuple[str, ...]
    metric: Callable[[np.ndarray, np.ndarray], float] = accuracy

    def __post_init__(self):
        try:
            self.fields()
        except ValueError as error:
            raise ValueError(f"template {self.template!r} cannot be read: {error}") from None
        if not self.template.endswith(_OPTION) or self.template.count(_OPTION) != 1:
            raise ValueError(
                f"template must end in {_OPTION} and hold it once; got {self.template!r}"
            )
        if len(self.options) < 2 or len(set(self.options)) != len(self.options):
            raise ValueError(f"options must be at least two different words; got {self.options}")

    def fields(self) -> list[str]:
        """The fields that the template takes from the data."""
        names = [name for _, name, _, _ in string.Formatter().parse(self.template) if name]
        return [name for name in names if name != "option"]

    def example(self, record: Mapping[str, Any]) -> Example:
        """Fills the template.

        Args:
          record: one line of data: the fields of the template, strings; `label`, an index into
            the options or one of them; maybe `options`, which then replace the task's own.

        Raises:
          ValueError: if something is missing or of the wrong kind, naming it.
        """
        fields = {name: _text(record, name) for name in self.fields()}
        options = self._options(record)
        prompt = self.template.removesuffix(_OPTION).rstrip(" ").format(**fields)
        candidates = tuple(self.template.format(**fields, option=option) for option in options)
        return Example(prompt, candidates, _label(record, options))

    def _options(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        options = record.get("options", list(self.options))
        are_texts = isinstance(options, list) and all(isinstance(text, str) for text in options)
        if not are_texts or len(options) < 2:
            raise ValueError(f'"options" must be a list of at least two strings; got {options!r}')
        return tuple(options)


def _text(record: Mapping[str, Any], name: str) -> str:
    if name not in record:
        raise ValueError(f'field "{name}" is missing; the template needs it')
    if not isinstance(record[name], str):
        raise ValueError(f'field "{name}" must be a string; got {record[name]!r}')
    return record[name].strip()


def _label(record: Mapping[str, Any], options: tuple[str, ...]) -> int:
    if "label" not in record:
        raise ValueError('field "label" is missing')
    label = record["label"]
    if isinstance(label, str) and label in options:
        return options.index(label)
    is_index = isinstance(label, int) and not isinstance(label, bool)
    if is_index and 0 <= label < len(options):
        return label
    raise ValueError(
        f'"label" must be one of the options {list(options)} or an index from 0 to '
        f"{len(options) - 1}; got {label!r}"
    )


_SENTIMENT = Task(template="{text} It was {option}", options=("terrible", "great"))

# Shipped data lie in experiments/assets/NAME.
TASKS = {"reviews": _SENTIMENT}
