"""Batches in groups: what one call of the device works through."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

# Updates between two lines of the log; no group is longer.
LOG_EVERY = 10
_Batch = dict[str, np.ndarray]


class Group(NamedTuple):
    """The batches of one call, on their way to the device.

    Attributes:
      last: the last of its steps, counted from 1.
      size: how many steps.
      batch: a batch, if size is 1; else that many, stacked: arrays of shape (size, ...).
      tokens: of all batches, padding left out; or pictures.
    """

    last: int
    size: int
    batch: dict[str, jax.Array]
    tokens: int


def _put(batch: _Batch, axis: int) -> dict[str, jax.Array]:
    del axis  # one device has all rows
    return jax.device_put(batch)


def groups(
    batches: Iterable[_Batch],
    size: int,
    *,
    start: int,
    stops: Callable[[int], bool],
    put: Callable[[_Batch, int], dict[str, jax.Array]] = _put,
) -> Iterator[Group]:
    """Yields groups of exactly `size` batches of equal shapes, and single ones where none fits.

    Nothing between: every other size would be one more program to compile. Which batches come
    together depends on them and on `stops` alone, as long as `start` is 0 or a stop.

    Args:
      batches: of the steps start + 1, start + 2, ...
      size: of a group, at least 1.
      start: how many steps are done.
      stops: whether somebody looks at the params after a step; a group ends there.
      put: brings arrays to the devices, given along which axis their examples lie; must not wait
        for the copy, nor for the steps before it.
    """
    waiting: list[_Batch] = []
    step = start
    for step, batch in enumerate(batches, start=start + 1):
        if waiting and _shapes(batch) != _shapes(waiting[0]):
            yield from _singles(waiting, step - 1, put)
            waiting = []
        waiting.append(batch)
        if len(waiting) == size:
            yield _group(waiting, step, put)
            waiting = []
        elif stops(step):
            yield from _singles(waiting, step, put)
            waiting = []
    yield from _singles(waiting, step, put)


def _singles(batches: list[_Batch], last: int, put: Callable) -> Iterator[Group]:
    for step, batch in enumerate(batches, start=last - len(batches) + 1):
        yield _group([batch], step, put)


def _group(batches: list[_Batch], last: int, put: Callable) -> Group:
    tokens = sum(map(_tokens, batches))
    if len(batches) == 1:
        return Group(last, 1, put(batches[0], 0), tokens)
    stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *batches)
    return Group(last, len(batches), put(stacked, 1), tokens)


def _tokens(batch: _Batch) -> int:
    mask = batch.get("attention_mask")
    return len(batch["labels"]) if mask is None else int(mask.sum())


def _shapes(batch: _Batch) -> Any:
    return jax.tree.map(np.shape, batch)
