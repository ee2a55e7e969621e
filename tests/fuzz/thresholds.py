"""The sizes from which the library treats a leaf as a large one, lowered for toy leaves."""

import contextlib
from collections.abc import Iterator
from unittest import mock

from zojax import _thresholds

# Values that toy leaves exceed.
_LOW = {
    "BLOCK_SHARE": 0,
    "LEAST_BLOCK": 3,
    "SUMMED_BLOCK_FACTOR": 1,
    "MULTIPLICATIONS_AN_ENTRY": 0,
    "FUSED_RANK": 1,
    "WRITTEN_OUT_RANK": 3,
    "SMALL_LEAVES_SHARE": 0,
    "LEAST_SMALL_LEAVES": 0,
    "EQUAL_SHAPES_SHARE": 4,
    "LEAST_EXCLUSIVE_LEAVES": 2,
    "DRAWN_ALONE": 4,
    "NARROW_ROW": 2,
    "WRITTEN_OUT_QUERIES": 2,
    "LARGE_LEAF": 4,
    "NORM_BLOCK": 3,
    "DEFLATED_BLOCK": 3,
}


@contextlib.contextmanager
def lowered(on: bool = True) -> Iterator[None]:
    """Everything traced inside takes the paths of large leaves; with `on=False` nothing changes."""
    with mock.patch.multiple(_thresholds, **_LOW) if on else contextlib.nullcontext():
        yield
