"""The table of a sweep: its cells while they run, and means over seeds in the end."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

_SEED = "seed"


@dataclasses.dataclass(frozen=True)
class Status:
    """How far a cell is.

    Attributes:
      values: what the grid says of it.
      state: waiting, running, done, or what went wrong.
      result: its result.json, once it is done.
      seconds: that it took here, with those beside it; None if it was found finished.
    """

    values: dict[str, str]
    state: str = "waiting"
    result: dict[str, Any] | None = None
    seconds: float | None = None


def progress(statuses: Sequence[Status]) -> Table:
    """A line for each cell."""
    done = sum(status.result is not None for status in statuses)
    names = list(statuses[0].values) if statuses else []
    table = Table(title=f"{done} of {len(statuses)} runs done", title_justify="left")
    for name in names:
        table.add_column(name)
    for name in ("state", "validation loss", "score", "seconds"):
        table.add_column(name, justify="left" if name == "state" else "right")
    for status in statuses:
        result = status.result or {}
        table.add_row(
            *status.values.values(),
            escape(status.state),
            _number(result.get("loss_after")),
            _number(result.get("score_after")),
            "" if status.seconds is None else f"{status.seconds:.0f}",
        )
    return table


def over_seeds(statuses: Sequence[Status]) -> Table:
    """A line for each setting but the seed, by the mean validation loss, the least first."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    names = [name for name in statuses[0].values if name != _SEED]
    for status in (status for status in statuses if status.result is not None):
        key = tuple(status.values[name] for name in names)
        groups.setdefault(key, []).append(status.result)
    table = Table(title="means over seeds, the least validation loss first", title_justify="left")
    for name in names:
        table.add_column(name)
    for name in ("runs", "validation loss", "score"):
        table.add_column(name, justify="right")
    rows = [
        (key, _of(group, "loss_after"), _of(group, "score_after")) for key, group in groups.items()
    ]
    # nan, the loss of a run that diverged, is the worst.
    rows.sort(key=lambda row: np.nan_to_num(row[1].mean(), nan=math.inf))
    for key, losses, scores in rows:
        table.add_row(*key, str(len(losses)), _spread(losses), _spread(scores))
    return table


def _of(results: list[dict[str, Any]], name: str) -> np.ndarray:
    """What JSON has no number for is nan."""
    return np.array([math.nan if result[name] is None else result[name] for result in results])


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.4f} ± {values.std():.4f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
