"""A benchmark's rows: printed as they come, kept as JSON lines, shown as a Markdown table."""

import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
from typing import Any

import jax

RESULTS = pathlib.Path(__file__).parent.parent / "results"


class Report:
    """Collects rows of one benchmark run.

    Args:
      name: of the benchmark, and its file.
      columns: of the table.
      settings: of the run.
      names: how many columns, from the first on, say what a row is about. If some do, the file
        keeps what earlier runs found about other things, and has every row as soon as it is known.
    """

    def __init__(self, name: str, columns: tuple[str, ...], settings: Any, *, names: int = 0):
        self.path = RESULTS / f"{name}.jsonl"
        self.columns = columns
        self._about = columns[:names]
        self.run = {
            "settings": dataclasses.asdict(settings),
            "device": jax.devices()[0].device_kind,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{
                name: importlib.metadata.version(name)
                for name in ("jax", "jaxlib", "flax", "optax")
            },
        }
        self.rows: list[dict[str, Any]] = []
        print(f"{name}: {self.run['device']}, jax {self.run['jax']}, {self.run['settings']}\n")
        print("| " + " | ".join(columns) + " |")
        print("|" + "---|" * len(columns), flush=True)

    def row(self, *values: Any) -> None:
        """Prints a row and keeps it."""
        self.rows.append(dict(zip(self.columns, values, strict=True)))
        print("| " + " | ".join(_shown(value) for value in values) + " |", flush=True)
        if self._about:
            self.finish()

    def finish(self) -> list[dict[str, Any]]:
        """Writes the rows of this run in the place of earlier ones, and returns them."""
        self.path.parent.mkdir(exist_ok=True)
        lines = [json.dumps(row) for row in (*self._kept(), *self._found())]
        self.path.write_text("\n".join(lines) + "\n")
        return self.rows

    def _found(self) -> list[dict[str, Any]]:
        return [{**row, **self.run} for row in self.rows]

    def _kept(self) -> list[dict[str, Any]]:
        """Rows of earlier runs about other things than this one's."""
        if not (self._about and self.path.exists()):
            return []
        earlier = [json.loads(line) for line in self.path.read_text().splitlines()]
        found = {self._subject(row) for row in self.rows}
        return [row for row in earlier if self._subject(row) not in found]

    def _subject(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row.get(column) for column in self._about)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return f"{len(value)} points"
    if not isinstance(value, float):
        return str(value)
    # Learning rates would be 0.000.
    return f"{value:.3f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.2g}"
