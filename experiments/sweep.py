"""A grid of fine-tuning runs that goes on where it was stopped.

    python -m experiments.sweep --grid learning_rate=1e-4,3e-4 seed=0,1,2 --out runs/sweep \
        --method mezo --steps 200

`--grid` names settings of `experiments.finetune` with their values; every combination is a run in a
folder of its own under `--out`. All other flags are those of `experiments.finetune` and hold for
every run (`--config` too). A table shows how far the runs are; what each of them prints is in
`log.txt` in its folder.

The same command goes on with a sweep that was stopped: finished runs are read, and the one that was
stopped continues from its checkpoint. More values in the grid add runs. A run that was started with
other settings is refused, and one that fails is named, and the others go on. In the end means over
seeds are shown, and `sweep.jsonl` has a line for each run.
"""

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.live import Live

from experiments._compilation_cache import keep_compiled_programs
from experiments._config_file import to_yaml
from experiments._grid import Cell, cells
from experiments._run_folder import check_folder
from experiments._settings import Settings
from experiments._sweep_table import Status, over_seeds, progress
from experiments._vectors import use_wide_vectors
from experiments.finetune import finetune
from zojax.training import write_atomically

Run = Callable[[Settings], Any]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The grid; other flags are those of `experiments.finetune`."""

    grid: tuple[str, ...]
    """Settings with their values, such as learning_rate=1e-4,3e-4 seed=0,1,2."""
    out: Path = Path("runs/sweep")
    """Folder of the runs and of sweep.jsonl."""


def sweep(
    sweep: Sweep, flags: Sequence[str] = (), *, console: Console | None = None, run: Run = finetune
) -> list[Status]:
    """Makes all runs that are not finished, one after another, and returns how each of them ended.

    Args:
      sweep: the grid.
      flags: of every run, as on the command line of `experiments.finetune`.
      console: shows the table.
      run: makes a run, which leaves result.json in its folder.

    Raises:
      ValueError: before any run, for a grid or settings that cannot be used, or a run that is there
        with other settings.
      KeyboardInterrupt: if a signal asks for it; the run at work has saved a checkpoint.
    """
    # Its own stream: what runs print goes to their logs.
    console = console or Console(file=sys.stdout)
    grid = cells(sweep.grid, flags, sweep.out)
    for cell in grid:
        check_folder(cell.settings.out, to_yaml(cell.settings), resume=cell.settings.resume)
    statuses = [_found(cell) for cell in grid]
    with Live(
        progress(statuses), console=console, redirect_stdout=False, redirect_stderr=False
    ) as live:
        for place, cell in enumerate(grid):
            if statuses[place].result is not None:
                continue
            statuses[place] = dataclasses.replace(statuses[place], state="running")
            live.update(progress(statuses), refresh=True)
            statuses[place] = _made(cell, run)
            live.update(progress(statuses), refresh=True)
            _write(sweep.out, statuses)
    _write(sweep.out, statuses)
    if any(status.result is not None for status in statuses):
        console.print(over_seeds(statuses))
    return statuses


def _found(cell: Cell) -> Status:
    """Whether a run is finished already; one that was stopped has left a note and no numbers."""
    path = cell.settings.out / "result.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    if result is None or "loss_after" not in result:
        return Status(cell.values)
    return Status(cell.values, "done", result)


def _made(cell: Cell, run: Run) -> Status:
    """Makes a run; what it prints goes to its log, and what goes wrong with it into the table."""
    clock = time.perf_counter()
    out = cell.settings.out
    out.mkdir(parents=True, exist_ok=True)
    with (
        (out / "log.txt").open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        try:
            run(cell.settings)
        except (ValueError, OSError) as error:
            return Status(cell.values, f"failed: {error}", seconds=time.perf_counter() - clock)
    return dataclasses.replace(_found(cell), seconds=time.perf_counter() - clock)


def _write(out: Path, statuses: list[Status]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({**status.values, "state": status.state, "result": status.result}) + "\n"
        for status in statuses
    ]
    write_atomically(out / "sweep.jsonl", "".join(lines))


def main() -> None:
    asked, flags = tyro.cli(Sweep, description=__doc__, return_unknown_args=True)
    try:
        statuses = sweep(asked, flags)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on") from None
    if any(status.result is None for status in statuses):
        raise SystemExit(1)


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
