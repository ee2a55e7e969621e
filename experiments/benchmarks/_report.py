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
    """Collects rows of one benchmark run."""

    def __init__(self, name: str, columns: tuple[str, ...], settings: Any):
        self.path = RESULTS / f"{name}.jsonl"
        self.columns = columns
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

    def finish(self) -> list[dict[str, Any]]:
        """Writes the rows of this run in the place of the last run's, and returns them."""
        self.path.parent.mkdir(exist_ok=True)
        lines = [json.dumps({**row, **self.run}) for row in self.rows]
        self.path.write_text("\n".join(lines) + "\n")
        return self.rows


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
