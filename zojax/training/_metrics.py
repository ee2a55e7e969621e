"""Numbers of a run, as JSON lines for programs and as TensorBoard events for eyes."""

import contextlib
import json
import math
import time
import warnings
from pathlib import Path
from typing import Any

from tensorboardX import event_file_writer, summary
from tensorboardX.proto import event_pb2

from zojax.training._files import naming, write_atomically

_FILE = "metrics.jsonl"


class MetricsWriter:
    """Writes `metrics.jsonl` and TensorBoard event files into a folder.

    A line is an object with `step` and the numbers given; a number that is not finite becomes
    null, because JSON has no word for it, and is no event. Lines are on disk as soon as `write`
    returns. A line with the step and the names of an earlier one takes its place: what a resumed
    run finds again is there once.

    Args:
      folder: where to write; made if missing.
      step: the step at which the run goes on, None if it begins. Lines of later steps, left by a
        run that was cut short after its last checkpoint, are dropped: they will be written again.
        So are lines that are broken, with a warning.

    Raises:
      OSError: naming the file, if it cannot be written; also from `write`.
    """

    def __init__(self, folder: str | Path, *, step: int | None = None):
        self._path = Path(folder) / _FILE
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = read_metrics(folder) if step is not None else []
        self._lines = {_about(record): record for record in kept if record["step"] <= step}
        self._rewrite()
        self._events = _Events(self._path.parent / "tensorboard")
        if self._lines:
            self._events.hide_from(step + 1)

    def write(self, step: int, **numbers: float) -> None:
        """Records numbers that belong to the given step."""
        finite = {name: x if math.isfinite(x) else None for name, x in numbers.items()}
        record = {"step": step, **finite}
        known = _about(record) in self._lines
        self._lines[_about(record)] = record
        if known:
            self._file.close()
            self._rewrite()
        else:
            with naming(self._path):
                self._file.write(_line(record))
                self._file.flush()
        self._events.write(step, finite)

    def close(self) -> None:
        """Flushes and closes all files."""
        try:
            with naming(self._path):
                self._file.close()
        finally:
            self._events.close()

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        # What could not be written before cannot be written now either.
        with contextlib.suppress(*((OSError,) if kind else ())):
            self.close()

    def _rewrite(self) -> None:
        """All lines anew, and the file open behind them."""
        write_atomically(self._path, "".join(map(_line, self._lines.values())))
        self._file = self._path.open("a", encoding="utf-8")


class _Events:
    """A file of events, written in this thread.

    tensorboardX's SummaryWriter has one of its own, which ends where the disk is full, and whoever
    writes then waits for it for ever.
    """

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self._folder = folder
        with naming(folder):
            self._writer = event_file_writer.EventsWriter(str(folder / "events"))

    def hide_from(self, step: int) -> None:
        """Events of earlier files that belong to a step, or a later one, are not shown."""
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(step=step, session_log=start)

    def write(self, step: int, numbers: dict[str, float | None]) -> None:
        for name, number in numbers.items():
            if number is not None:
                self._write(step=step, summary=summary.scalar(name, number))
        with naming(self._folder):
            self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _write(self, **fields: Any) -> None:
        with naming(self._folder):
            self._writer.write_event(event_pb2.Event(wall_time=time.time(), **fields))


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Returns the lines that `MetricsWriter` wrote into the folder, oldest first.

    Lines that are no objects with a `step`, such as one that was cut in the middle by a machine
    that went down, are left out, and a warning names them.
    """
    path = Path(folder) / _FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    records = [_parse(line) for line in lines]
    broken = [i for i, r in enumerate(records, start=1) if r is None and lines[i - 1].strip()]
    if broken:
        places = ", ".join(map(str, broken))
        warnings.warn(f"{path}: broken lines are left out: {places}", stacklevel=2)
    return [record for record in records if record is not None]


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and type(record.get("step")) is int
    return record if whole else None


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, allow_nan=False) + "\n"


def _about(record: dict[str, Any]) -> tuple[str | int, ...]:
    return record["step"], *sorted(record)
