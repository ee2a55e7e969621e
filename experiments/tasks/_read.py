"""Rows of files: JSON lines, a JSON array, CSV, TSV, or parquet; all but the last also as .gz.

Every row knows where it stands, so that whatever is found to be wrong with it later can be named
with file and line.
"""

import csv
import functools
import gzip
import importlib
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

Made = TypeVar("Made")
_PLAIN = (".jsonl", ".json", ".csv", ".tsv")
SUFFIXES = (*_PLAIN, ".parquet", *(f"{suffix}.gz" for suffix in _PLAIN))
# Texts may be longer than the 131,072 characters at which csv stops.
csv.field_size_limit(2**27)
# What JSON writes for one half of a character beyond the first 65,536.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class PlacedRow(dict):
    """A row that knows its file and line, for errors."""

    def __init__(self, fields: dict[str, Any], place: str):
        super().__init__(fields)
        self.place = place


def read_rows(path: Path) -> list[PlacedRow]:
    """Returns the rows of a file.

    Args:
      path: a file with a name that ends in one of `SUFFIXES`; any other is read as JSON lines.

    Raises:
      ValueError: if it cannot be read, naming file and line, or holds nothing.
    """
    kind = Path(path.name.removesuffix(".gz")).suffix
    if kind == ".parquet":
        rows = _read_parquet(path)
    else:
        rows = list(_READERS.get(kind, _json_lines)(_text(path), path))
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


def _text(path: Path) -> str:
    """The whole of a text file, without a byte order mark."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"task: {path} cannot be unpacked by gzip ({error})") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}, line {line}: not UTF-8 text ({error.reason}); save the file as UTF-8"
        ) from None


def _json_lines(text: str, path: Path) -> Iterator[PlacedRow]:
    # Not splitlines(): it also ends lines at characters that JSON allows within a text.
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            yield _placed(_parse(line, place), place)


def _json(text: str, path: Path) -> Iterator[PlacedRow]:
    """An array of objects; or lines, which many files with this suffix hold."""
    if not text.lstrip().startswith("["):
        yield from _json_lines(text, path)
        return
    for number, record in enumerate(_parse(text, str(path)), start=1):
        yield _placed(record, f"{path}, entry {number}")


def _parse(text: str, place: str) -> Any:
    try:
        record = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(record, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text.strip() else ""
        raise ValueError(f"{place}: not JSON ({error.msg}, {line}column {error.colno})") from None
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ValueError(
            f"{place}: holds {half!a}, half of a character, which no tokenizer takes; write the "
            "character itself, or both halves"
        ) from None
    except RecursionError:
        raise ValueError(f"{place}: JSON that is nested too deeply to be an example") from None
    except ValueError as error:  # a number of thousands of digits
        raise ValueError(f"{place}: not JSON that can be read ({error})") from None
    return record


def _placed(record: Any, place: str) -> PlacedRow:
    if not isinstance(record, dict):
        raise ValueError(f'{place}: not a JSON object like {{"text": ..., "label": ...}}')
    return PlacedRow(record, place)


def _cells(text: str, path: Path, separator: str) -> Iterator[PlacedRow]:
    """Lines of cells, of which the first line names the columns; quotes as spreadsheets write."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names: list[str] = []
    try:
        for cells in filter(None, lines):
            place = f"{path}, line {lines.line_num}"
            if not names:
                names = _column_names(cells, place)
                continue
            if len(cells) != len(names):
                raise ValueError(
                    f"{place}: {len(cells)} cells, but the first line names {len(names)} columns; "
                    f"put quotes around cells that hold {separator!r}"
                )
            yield PlacedRow(dict(zip(names, cells, strict=True)), place)
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {lines.line_num}: cells cannot be told apart ({error})"
        ) from None


def _column_names(cells: list[str], place: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(set(names)) < len(names):
        raise ValueError(f"{place}: the columns {names} must have different names")
    return names


def _read_parquet(path: Path) -> list[PlacedRow]:
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
    return [PlacedRow(row, f"{path}, row {number}") for number, row in enumerate(rows, start=1)]


_READERS = {
    ".json": _json,
    ".csv": functools.partial(_cells, separator=","),
    ".tsv": functools.partial(_cells, separator="\t"),
}
