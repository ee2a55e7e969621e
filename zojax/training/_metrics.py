"""Numbers of a run, as JSON lines for programs and as TensorBoard events for eyes."""

import json
import math
from pathlib import Path
from typing import Any

import tensorboardX

_FILE = "metrics.jsonl"


class MetricsWriter:
    """Writes `metrics.jsonl` and TensorBoard event files into a folder.

    A line is an object with `step` and the numbers given; a number that is not finite becomes
    null, because JSON has no word for it, and is no event. Lines are on disk as soon as `write`
    returns.

    Args:
      folder: where to write; made if missing.
      step: the step at which the run (re)starts. Lines of later steps, left by a run that was
        cut short after its last checkpoint, are dropped: they will be written again.
    """

    def __init__(self, folder: str | Path, *, step: int = 0):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        kept = [record for record in read_metrics(folder) if record["step"] <= step]
        self._file = (folder / _FILE).open("w", encoding="utf-8")
        for record in kept:
            self._write_line(record)
        self._events = tensorboardX.SummaryWriter(
            str(folder / "tensorboard"), purge_step=step + 1 if kept else None
        )

    def write(self, step: int, **numbers: float) -> None:
        """Records numbers that belong to the given step."""
        finite = {name: x if math.isfinite(x) else None for name, x in numbers.items()}
        for name, number in finite.items():
            if number is not None:
                self._events.add_scalar(name, number, step)
        self._write_line({"step": step, **finite})

    def close(self) -> None:
        """Flushes and closes all files."""
        self._file.close()
        self._events.close()

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write_line(self, record: dict[str, Any]) -> None:
        print(json.dumps(record, allow_nan=False), file=self._file, flush=True)


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Returns the lines that `MetricsWriter` wrote into the folder, oldest first.

    A last line that was cut in the middle, by a machine that went down, is left out.
    """
    path = Path(folder) / _FILE
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records
