"""The rows that experiments and benchmarks have kept."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]

FOLDER = Path(__file__).parent / "results"
# What a row was found with, not what was found.
PROVENANCE = ("settings", "versions", "device", "cores", "python", "jax", "jaxlib", "flax", "optax")


class Results:
    """Rows by the name of their file, without its ending.

    Args:
      folder: of the files.
    """

    def __init__(self, folder: Path = FOLDER):
        self.folder = folder

    @property
    def names(self) -> list[str]:
        """Of all files."""
        return sorted(path.stem for path in self.folder.glob("*.jsonl"))

    def rows(self, name: str) -> list[Row]:
        """In the order in which they were kept; none if there is no such file."""
        path = self.folder / f"{name}.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def where(self, name: str, **fields: Any) -> list[Row]:
        """The rows that have these fields."""
        return [row for row in self.rows(name) if fields.items() <= row.items()]
