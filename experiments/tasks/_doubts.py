"""What is warned about: data that can be trained on, but hardly as somebody meant it."""

import warnings
from collections.abc import Sequence
from typing import Any

from experiments.tasks import _template
from experiments.tasks._example import Example, ImageExample, MaskedExample, TextExample
from experiments.tasks._kinds import Choice, Generation, Kind
from experiments.tasks._sampling import Rows


def warn_of_empty_texts(kind: Kind, rows: Rows) -> None:
    """Warns of rows that have nothing in a field of the template.

    Warns:
      UserWarning: with how many there are, and where the first stands.
    """
    names = _template.field_names(getattr(kind, "template", ""))
    empty = [(row, name) for row in rows for name in names if _is_blank(row.get(name))]
    if empty:
        row, name = empty[0]
        warnings.warn(
            f'{getattr(row, "place", "task")}: field "{name}" is empty, as in {len(empty)} of '
            f"{len(rows)} rows; they are used as they are, take them out if that is not meant",
            stacklevel=2,
        )


def warn_of_one_answer(
    kind: Kind, examples: Sequence[Example | MaskedExample | TextExample | ImageExample]
) -> None:
    """Warns of examples to train on that all have the same answer.

    Warns:
      UserWarning: with the answer.
    """
    if isinstance(kind, Choice | Generation) or len(examples) < 2:
        return
    answers = {_answer(example) for example in examples}
    if len(answers) == 1:
        warnings.warn(
            f"task: the answer to all {len(examples)} examples of the train split is "
            f"{answers.pop()!r}, so there is nothing to tell apart; are the labels right?",
            stacklevel=2,
        )


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _answer(example: Example | MaskedExample | TextExample | ImageExample) -> str | int:
    if isinstance(example, MaskedExample):
        return example.words[example.label]
    if isinstance(example, TextExample | ImageExample):
        return example.label
    return example.candidates[example.label].removeprefix(example.prompt).strip()
