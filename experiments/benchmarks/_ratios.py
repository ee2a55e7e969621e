"""A step beside its forward passes: the median ratio of several rounds, and their spread."""

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

from zojax.training import seconds_side_by_side


class Ratio(NamedTuple):
    """What was timed.

    Attributes:
      step: median seconds of the step.
      plain: median seconds of the plain forward passes.
      median: of step / plain, round by round.
      spread: the least and the largest of these ratios.
    """

    step: float
    plain: float
    median: float
    spread: str


def ratio(step: Callable[[], Any], plain: Callable[[], Any], *, repetitions: int) -> Ratio:
    """Times both, one after the other in each round."""
    seconds = seconds_side_by_side({"step": step, "plain": plain}, repetitions=repetitions)
    each = [a / b for a, b in zip(seconds["step"], seconds["plain"], strict=True)]
    return Ratio(
        statistics.median(seconds["step"]),
        statistics.median(seconds["plain"]),
        statistics.median(each),
        f"{min(each):.2f} - {max(each):.2f}",
    )
