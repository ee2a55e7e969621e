"""Warnings about what stands around an estimate and cannot do what it seems to.

A link sees nothing of its surroundings: a transformation in front of it, or `optax.MultiSteps`
around it, is known to Python's stack alone. Where optax is written otherwise one day, nothing is
found and nothing is said.
"""

import collections
import sys
import warnings
from collections.abc import Iterator
from types import FrameType

import optax

_MULTI_STEPS = (
    "optax.MultiSteps averages gradients that come in, and an estimate has none: of every k calls "
    "it keeps the losses of the last one alone, and drops the others. Take accumulate=k of the "
    "method (of zojax.estimate_gradient) instead, which averages what k calls measure along one "
    "direction"
)
_MECHANIZE = (
    "optax.contrib.mechanize learns its scale from gradients that come in, and an estimate has "
    "none: nothing would move. Put it behind the estimate: optax.chain("
    "zojax.estimate_gradient(...), optax.contrib.mechanize(optax.sgd(1.0)))"
)
_LINKS_BEFORE = (
    "links before zojax.estimate_gradient in an optax.chain are ignored: the estimate is made of "
    "losses, not of what comes in. Put them behind it: optax.chain(zojax.estimate_gradient(...), "
    "link, ...)"
)


def warn_if_ignored() -> None:
    """Warns of links before the estimate, and of wrappers that need gradients to come in."""
    for frame in _callers():
        if isinstance(frame.f_locals.get("self"), optax.MultiSteps):
            warnings.warn(_MULTI_STEPS, stacklevel=2)
        elif _is_update_of(frame, "optax.contrib._mechanic"):
            warnings.warn(_MECHANIZE, stacklevel=2)
        elif _is_update_of(frame, "optax.transforms._combining") and _past_first_link(frame):
            warnings.warn(_LINKS_BEFORE, stacklevel=2)


def _callers() -> Iterator[FrameType]:
    frame = sys._getframe(1)
    while (frame := frame.f_back) is not None:
        yield frame


def _is_update_of(frame: FrameType, module: str) -> bool:
    return frame.f_code.co_name == "update_fn" and frame.f_globals.get("__name__") == module


def _past_first_link(frame: FrameType) -> bool:
    """Whether a chain, named or not, has the states of links already."""
    states = frame.f_locals.get("new_state")
    return isinstance(states, list | collections.OrderedDict) and bool(states)
