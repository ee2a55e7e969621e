"""Rows of files: JSON lines, or parquet."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Made = TypeVar("Made")
SUFFIXES = (".jsonl", ".parquet")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a file.

    Args:
      path: a file of JSON lines; or of parquet, if its name ends so.

    Raises:
      ValueError: if it cannot be read, naming file and line, or holds nothing.
    """
    read = _read_parquet if path.suffix == ".parquet" else _read_json_lines
    rows = read(path)
    if not rows:
        raise ValueError(f"task: {path} holds no examples")
    return rows


def make_all(
    make: Callable[[dict[str, Any]], Made], rows: list[dict[str, Any]], where: str
) -> list[Made]:
    """Makes something of every row.

    Raises:
      ValueError: if one cannot be used, naming the file and its line, or the split and its row.
    """
    made = []
    for row in rows:
        try:
            made.append(make(row))
        except ValueError as error:
            raise ValueError(f"{getattr(row, 'place', where)}: {error}") from None
    return made


class PlacedRow(dict):
    """A row that knows its file and line, for errors."""

    place: str


def _read_json_lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            row = PlacedRow(_parse(line))
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        row.place = place
        rows.append(row)
    return rows


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text ({error.reason})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg}, column {error.colno})") from None
    if not isinstance(record, dict):
        raise ValueError('not a JSON object like {"text": ..., "label": ...}')
    return record


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    try:
        # Its import takes a second, and most runs do without.
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise ValueError(f"task: {path} needs datasets; install it with pip") from None
    try:
        # Streaming leaves no copy of the file in a cache.
        rows = list(
            datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=True)
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"task: {path} cannot be read as parquet ({error})") from None
    placed = [PlacedRow(row) for row in rows]
    for number, row in enumerate(placed, start=1):
        row.place = f"{path}, row {number}"
    return placed
