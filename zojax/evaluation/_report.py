"""Who is told, while a loss is traced, that a perturbed array is drawn as a whole."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

from jax.extend import core

from zojax.evaluation._perturbed import Perturbed

Report = Callable[[core.JaxprEqn | None, Perturbed], None]
"""Told of an array that is drawn, and of the equation that asks for it; None: the loss returns it.
"""

_LISTENER: contextvars.ContextVar[Report | None] = contextvars.ContextVar("listener", default=None)


@contextlib.contextmanager
def reporting(report: Report) -> Iterator[None]:
    """While a loss is traced in this context, `report` hears of all that is drawn as a whole."""
    token = _LISTENER.set(report)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def is_reported() -> bool:
    """Whether somebody listens."""
    return _LISTENER.get() is not None


def drawn(
    eqn: core.JaxprEqn | None, values: list[Any], datum: Any = None, *, fuses: bool = True
) -> list[Any]:
    """The values as arrays; see `Perturbed.dense` for the other arguments."""
    report = _LISTENER.get()
    for value in values:
        if report is not None and isinstance(value, Perturbed):
            report(eqn, value)
    return [
        value.dense(datum, fuses=fuses) if isinstance(value, Perturbed) else value
        for value in values
    ]
