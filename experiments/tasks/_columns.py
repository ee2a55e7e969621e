"""Reading the columns of a row, with errors that say which column is wrong."""

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
        raise ValueError(f'field "{name}" is missing; the task needs it')
    return row[name]


def label(row: Row, options: Sequence[str], name: str = "label") -> int:
    """A column that holds one of the options, or its index.

    Raises:
      ValueError: if it is missing or names none of them.
    """
    if name not in row:
        raise ValueError(f'field "{name}" is missing')
    value = row[name]
    if isinstance(value, str) and value in options:
        return list(options).index(value)
    is_index = isinstance(value, int) and not isinstance(value, bool)
    if is_index and 0 <= value < len(options):
        return value
    raise ValueError(
        f'"{name}" must be one of the options {list(options)} or an index from 0 to '
        f"{len(options) - 1}; got {value!r}"
    )
