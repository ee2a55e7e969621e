"""Warnings about what stands around an estimate and cannot do what it seems to.

A link sees nothing of its surroundings: a transformation in front of it, or `optax.MultiSteps`
around it, is known to Python's stack alone. Where optax is written otherwise one day, nothing is
found and nothing is said.
"""

import sys
import warnings
from collections.abc import Iterator
from types import FrameType

import optax


def warn_if_ignored() -> None:
    """Warns of links before the estimate, and of `optax.MultiSteps` around it."""
    for frame in _callers():
        if isinstance(frame.f_locals.get("self"), optax.MultiSteps):
            warnings.warn(
                "optax.MultiSteps averages gradients that come in, and an estimate has none: of "
                "every k calls it keeps the losses of the last one alone, and drops the others. "
                "Take accumulate=k of the method (of zojax.estimate_gradient) instead, which "
                "averages what k calls measure along one direction",
                stacklevel=2,
            )
        elif _links_before(frame):
            warnings.warn(
                "links before zojax.estimate_gradient in an optax.chain are ignored: the estimate "
                "is made of losses, not of what comes in. Put them behind it: "
                "optax.chain(zojax.estimate_gradient(...), link, ...)",
                stacklevel=2,
            )


def _callers() -> Iterator[FrameType]:
    frame = sys._getframe(1)
    while (frame := frame.f_back) is not None:
        yield frame


def _links_before(frame: FrameType) -> bool:
    """Whether this is the update of an `optax.chain` that is past its first link."""
    if frame.f_code.co_name != "update_fn" or not frame.f_globals["__name__"].startswith("optax."):
        return False
    return "update_fns" in frame.f_locals and bool(frame.f_locals.get("new_state"))
