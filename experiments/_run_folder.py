"""The folder of a run: whether it may be written to, and by whom."""

import contextlib
import dataclasses
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import yaml

from experiments._settings import Settings
from zojax.training import write_atomically

_SETTINGS = "settings.yaml"
_LOCK = ".lock"
# A resumed run may be longer, look at itself and save more or less often, and stand on other
# devices.
_MAY_CHANGE = (
    *("steps", "eval_every", "save_every", "save_minutes", "keep_last", "keep_best", "patience"),
    *("nonfinite_patience", "diagnostics", "wandb", "memory_budget_gib", "mesh", "shard"),
)
# What a run leaves before its first checkpoint, and a run that begins anew does not go on with.
_LEFT_BEHIND = ("chunks.json", "learning_rate.json", "metrics.jsonl", "tensorboard", "wandb_id.txt")
# What nobody wants to lose.
_RESULTS = ("result.json", "model", "adapter")


def check_folder(out: Path, settings: str, *, resume: bool) -> None:
    """Says early what `claimed` would refuse; writes nothing.

    A run that ended before its first checkpoint has nothing to lose, and may begin anew.

    Args:
      out: the folder.
      settings: of the run, as YAML.
      resume: whether the run is in the folder already, and goes on.

    Raises:
      ValueError: if the folder holds a run and `resume` is off; if it holds none and `resume`
        is on; if the run there was started with other settings; if it is no folder.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"out {str(out)!r} is not a folder; choose another with --out")
    if resume:
        _check_same(out / _SETTINGS, yaml.safe_load(settings))
    elif _holds_results(out):
        raise ValueError(
            f"out {str(out)!r} already holds a run; continue it with --resume, or choose another "
            f"folder with --out"
        )


@contextlib.contextmanager
def claimed(out: Path, settings: str, *, resume: bool) -> Iterator[None]:
    """Makes the folder, writes the settings there, and keeps other processes out meanwhile.

    Raises:
      ValueError: as for `check_folder`.
      BlockingIOError: if another process is at work there.
      OSError: naming what cannot be written.
    """
    check_folder(out, settings, resume=resume)
    out.mkdir(parents=True, exist_ok=True)
    with (out / _LOCK).open("w") as lock:
        _lock(lock, out)
        if not resume:
            _begin_anew(out)
        write_atomically(out / _SETTINGS, settings)
        yield


def _lock(file: IO[str], out: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        words = "another process is at work there; wait for it, or choose another folder with --out"
        raise BlockingIOError(error.errno, words, str(out)) from None
    except OSError:
        pass  # a file system that has no locks


def _holds_results(out: Path) -> bool:
    checkpoints = out / "checkpoints"
    steps = checkpoints.iterdir() if checkpoints.is_dir() else ()
    # A save that was cut short has a longer name.
    return any(path.name.isdigit() for path in steps) or any((out / n).exists() for n in _RESULTS)


def _begin_anew(out: Path) -> None:
    for path in (out / name for name in _LEFT_BEHIND):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _check_same(path: Path, settings: dict[str, Any]) -> None:
    if not path.exists():
        raise ValueError(
            f"out {str(path.parent)!r} holds no run to resume; leave --resume out to start one"
        )
    # A run of an earlier version is silent about settings that came later: it had their defaults.
    before = {field.name: field.default for field in dataclasses.fields(Settings)}
    before |= _read_settings(path)
    for name, value in settings.items():
        if name not in _MAY_CHANGE and before[name] != value:
            raise ValueError(
                f"{name} {value!r} differs from {before[name]!r}, with which the run in "
                f"{str(path.parent)!r} was started; a resumed run must keep it"
            )


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise ValueError(f"{path} is damaged; it must hold the settings of the run by name")
    return settings
