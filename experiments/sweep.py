"""A grid of fine-tuning runs that goes on where it was stopped.

    python -m experiments.sweep --grid learning_rate=1e-4,3e-4 seed=0,1,2 --out runs/sweep \
        --method mezo --steps 200

`--grid` names settings of `experiments.finetune` with their values; every combination is a run in a
folder of its own under `--out`. All other flags are those of `experiments.finetune` and hold for
every run (`--config` too). A table shows how far the runs are; what each of them prints is in
`log.txt` in its folder.

`--side-by-side N` makes N runs at a time in one compiled program, see `experiments._side_by_side`;
they may differ in learning rate and seed alone.

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
from typing import Any, TextIO

import tyro
from rich.console import Console
from rich.live import Live

from experiments._compilation_cache import keep_compiled_programs
from experiments._config_file import to_yaml
from experiments._grid import Cell, cells
from experiments._run_folder import check_folder
from experiments._settings import Settings
from experiments._side_by_side import check_side_by_side, finetune_side_by_side
from experiments._sweep_table import Status, over_seeds, progress
from experiments._vectors import use_wide_vectors
from experiments.finetune import finetune
from zojax.training import write_atomically

Run = Callable[[Settings], Any]
Together = Callable[[Sequence[Settings], Sequence[Console]], Any]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The grid; other flags are those of `experiments.finetune`."""

    grid: tuple[str, ...]
    """Settings with their values, such as learning_rate=1e-4,3e-4 seed=0,1,2."""
    out: Path = Path("runs/sweep")
    """Folder of the runs and of sweep.jsonl."""
    side_by_side: int = 1
    """Runs made in one compiled program; they may differ in learning_rate and seed alone."""

    def __post_init__(self):
        if self.side_by_side < 1:
            raise ValueError(f"side_by_side must be at least 1, got {self.side_by_side}")


def sweep(
    sweep: Sweep,
    flags: Sequence[str] = (),
    *,
    console: Console | None = None,
    run: Run = finetune,
    together: Together = finetune_side_by_side,
) -> list[Status]:
    """Makes all runs that are not finished, and returns how each of them ended.

    Args:
      sweep: the grid.
      flags: of every run, as on the command line of `experiments.finetune`.
      console: shows the table.
      run: makes a run, which leaves result.json in its folder.
      together: makes several side by side, each of which prints to a console of its own.

    Raises:
      ValueError: before any run, for a grid or settings that cannot be used, or a run that is there
        with other settings.
      KeyboardInterrupt: if a signal asks for it; the runs at work have saved checkpoints.
    """
    # Its own stream: what runs print goes to their logs.
    console = console or Console(file=sys.stdout)
    grid = cells(sweep.grid, flags, sweep.out)
    if sweep.side_by_side > 1:
        check_side_by_side([cell.settings for cell in grid])
    for cell in grid:
        check_folder(cell.settings.out, to_yaml(cell.settings), resume=cell.settings.resume)
    statuses = [_found(cell) for cell in grid]
    left = [place for place, status in enumerate(statuses) if status.result is None]
    with Live(
        progress(statuses), console=console, redirect_stdout=False, redirect_stderr=False
    ) as live:
        for start in range(0, len(left), sweep.side_by_side):
            places = left[start : start + sweep.side_by_side]
            for place in places:
                statuses[place] = dataclasses.replace(statuses[place], state="running")
            live.update(progress(statuses), refresh=True)
            made = _made([grid[place] for place in places], run, together)
            for place, status in zip(places, made, strict=True):
                statuses[place] = status
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


def _made(group: list[Cell], run: Run, together: Together) -> list[Status]:
    """Makes runs; what they print goes to their logs, and what goes wrong into the table."""
    clock, wrong = time.perf_counter(), None
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(_log(cell)) for cell in group]
        stack.enter_context(contextlib.redirect_stdout(logs[0]))
        stack.enter_context(contextlib.redirect_stderr(logs[0]))
        try:
            if len(group) == 1:
                run(group[0].settings)
            else:
                consoles = [Console(file=log) for log in logs]
                together([cell.settings for cell in group], consoles)
        except (ValueError, OSError) as error:
            wrong = f"failed: {error}"
    seconds = time.perf_counter() - clock
    found = [dataclasses.replace(_found(cell), seconds=seconds) for cell in group]
    return [
        dataclasses.replace(one, state=wrong) if wrong and one.result is None else one
        for one in found
    ]


def _log(cell: Cell) -> TextIO:
    cell.settings.out.mkdir(parents=True, exist_ok=True)
    return (cell.settings.out / "log.txt").open("a", encoding="utf-8")


def _write(out: Path, statuses: list[Status]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({**status.values, "state": status.state, "result": status.result}) + "\n"
        for status in statuses
    ]
    write_atomically(out / "sweep.jsonl", "".join(lines))


def main() -> None:
    try:
        asked, flags = tyro.cli(Sweep, description=__doc__, return_unknown_args=True)
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
