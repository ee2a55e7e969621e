"""Reading the columns of a row, with errors that say which column is wrong."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def strip_texts(row: Row) -> Row:
    """The row with no white space around its texts."""
    return {key: value.strip() if isinstance(value, str) else value for key, value in row.items()}


def text(row: Row, name: str) -> str:
    """A column that holds text.

    Raises:
      ValueError: if it is missing or no string.
    """
    value = column(row, name)
    if not isinstance(value, str):
        raise ValueError(f'field "{name}" must be a string; got {value!r}')
    return value


def texts(row: Row, name: str) -> tuple[str, ...]:
    """A column that holds texts, at least one.

    Raises:
      ValueError: if it is missing, empty, or anything else.
    """
    value = column(row, name)
    is_list = isinstance(value, list | tuple) and len(value) > 0
    if not is_list or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f'field "{name}" must be a list of strings; got {value!r}')
    return tuple(value)


def inner(row: Row, name: str) -> Row:
    """A column that holds columns.

    Raises:
      ValueError: if it is missing or no mapping.
    """
    value = column(row, name)
    if not isinstance(value, Mapping):
        raise ValueError(f'field "{name}" must be an object; got {value!r}')
    return value


def column(row: Row, name: str) -> Any:
    """A column, whatever it holds.

    Raises:
      ValueError: if it is missing.
    """
    if name not in row:
        raise ValueError(
            f'field "{name}" is missing; the task needs it, and there is {_names(row)}'
        )
    return row[name]


def options(row: Row, name: str = "options") -> tuple[str, ...]:
    """A column that holds texts to choose from.

    Raises:
      ValueError: if it is missing, has fewer than two, or two that are alike, or an empty one.
    """
    value = column(row, name)
    are_texts = isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)
    if not are_texts or len(value) < 2:
        raise ValueError(f'"{name}" must be a list of at least two strings; got {value!r}')
    if problem := problem_of_options(value):
        raise ValueError(f'"{name}" {problem}; got {value!r}')
    return tuple(value)


def problem_of_options(options: Sequence[str]) -> str:
    """What keeps texts from being options; nothing if they can be.

    White space at their ends does not tell options apart, since it is cut off.
    """
    plain = [option.strip() for option in options]
    if not all(plain):
        return "must not hold an empty text, of which no loss can be taken"
    if len(set(plain)) < len(plain):
        return "must all differ, or a label would not say which is right"
    return ""


def label(row: Row, options: Sequence[str], name: str = "label") -> int:
    """A column that holds one of the options, or its index.

    An index may be a number, a text ("1": a CSV file has nothing else) or, of two options, a
    boolean: false is 0 and true is 1, unless the options are words for them, which then count.

    Raises:
      ValueError: if it is missing or names none of them; if it is a number, and an option of the
        task is the same number and has another index.
    """
    if name not in row:
        raise ValueError(f'field "{name}" is missing; there is {_names(row)}')
    value, plain = row[name], [option.strip() for option in options]
    word = value.strip() if isinstance(value, str) else value
    if isinstance(word, str) and word in plain:
        return plain.index(word)
    index = _index(word, plain)
    if index is None or not 0 <= index < len(options):
        raise ValueError(
            f'"{name}" must be one of the options {list(options)} or an index from 0 to '
            f"{len(options) - 1}; got {value!r}"
        )
    # Where a row brings options of its own, its label is an index by agreement.
    if str(index) in plain and plain.index(str(index)) != index and "options" not in row:
        raise ValueError(
            f'"{name}" {value!r} is an index, of the option "{options[index]}", but there is an '
            f'option "{index}" as well; write texts for labels, such as "{options[index]}"'
        )
    return index


def whole_number(value: Any) -> int | None:
    """The integer that a value is, or a text that writes one; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,9}(\.0)?\s*", value, re.ASCII):
        return int(value.strip().removesuffix(".0"))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _index(word: Any, options: list[str]) -> int | None:
    """The index that a label stands for; None for none."""
    truth = {"false": False, "true": True}.get(word.lower()) if isinstance(word, str) else word
    if isinstance(truth, bool):
        return _index_of_truth(truth, [option.lower() for option in options])
    return whole_number(word)


def _index_of_truth(truth: bool, options: list[str]) -> int | None:  # noqa: FBT001
    for words in (("false", "true"), ("no", "yes")):
        if sorted(options) == list(words):
            return options.index(words[truth])
    return int(truth) if len(options) == 2 else None


def _names(row: Row) -> str:
    return ", ".join(f'"{name}"' for name in row) or "nothing"
