"""Rows to predict, from lines of text, and what is said about them."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TextIO


class _Predictor(Protocol):
    def predict(self, rows: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]: ...


def lines_of(source: TextIO) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers; a terminal is asked for each."""
    if source.isatty():
        import readline  # noqa: F401  (lets lines be edited)

        for number in itertools.count(1):
            try:
                line = input("> ")
            except EOFError:
                return
            if line.strip():
                yield number, line
    for number, line in enumerate(source, start=1):
        if line.strip():
            yield number, line.rstrip("\n")


def predictions_of(
    predictor: _Predictor, lines: Iterable[tuple[int, str]], source: str, batch_size: int
) -> Iterator[str]:
    """Predictions as JSON, a line each, in the order of the rows.

    Raises:
      ValueError: for a row that cannot be used, naming its line.
    """
    lines = iter(lines)
    while some := list(itertools.islice(lines, batch_size)):
        rows = [(f"{source}, line {number}", _row(line, number, source)) for number, line in some]
        for prediction in predictor.predict(rows):
            yield json.dumps(prediction, ensure_ascii=False)


def _row(line: str, number: int, source: str) -> dict[str, Any]:
    if not line.lstrip().startswith("{"):
        return {"text": line}
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"{source}, line {number}: begins like a JSON object and is none ({error})"
        ) from None
    return row
