"""Where the numbers of a run go: its own files, and Weights & Biases if that is asked for."""

import contextlib
import importlib
import math
from collections.abc import Iterator
from typing import Any, Protocol

from experiments._config_file import by_name
from experiments._settings import Settings
from zojax import training

# In the folder of a run: under which name Weights & Biases knows it.
_ID = "wandb_id.txt"


class Writer(Protocol):
    """Takes the numbers that belong to a step."""

    def write(self, step: int, **numbers: float) -> None: ...


@contextlib.contextmanager
def open_writers(settings: Settings, step: int | None) -> Iterator[list[Writer]]:
    """The writers of a run, closed in the end.

    Args:
      settings: of the run.
      step: at which it goes on; None if it begins.
    """
    with training.MetricsWriter(settings.out, step=step) as files:
        if not settings.wandb:
            yield [files]
            return
        with _Wandb(settings) as web:
            yield [files, web]


class _Wandb:
    """By the library of that name, which its own variables direct (WANDB_PROJECT, WANDB_MODE)."""

    def __init__(self, settings: Settings):
        path = settings.out / _ID
        known = path.read_text(encoding="utf-8").strip() if path.exists() else None
        self._run = importlib.import_module("wandb").init(
            dir=str(settings.out),
            name=settings.out.name,
            config=by_name(settings),
            id=known,
            # A run that goes on is the same one there; steps that it has are not taken again.
            resume="allow" if known else None,
        )
        path.write_text(self._run.id, encoding="utf-8")

    def write(self, step: int, **numbers: float) -> None:
        finite = {name: number for name, number in numbers.items() if math.isfinite(number)}
        self._run.log(finite, step=step)

    def __enter__(self) -> "_Wandb":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: Any) -> None:
        self._run.finish(exit_code=0 if kind is None else 1)
