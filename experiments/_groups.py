"""Batches in groups: what one call of the device works through."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

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


def groups(
    batches: Iterable[_Batch], size: int, *, start: int, stops: Callable[[int], bool]
) -> Iterator[Group]:
    """Yields groups of exactly `size` batches of equal shapes, and single ones where none fits.

    Nothing between: every other size would be one more program to compile. Which batches come
    together depends on them and on `stops` alone, as long as `start` is 0 or a stop.

    Args:
      batches: of the steps start + 1, start + 2, ...
      size: of a group, at least 1.
      start: how many steps are done.
      stops: whether somebody looks at the params after a step; a group ends there.
    """
    waiting: list[_Batch] = []
    step = start
    for step, batch in enumerate(batches, start=start + 1):
        if waiting and _shapes(batch) != _shapes(waiting[0]):
            yield from _singles(waiting, step - 1)
            waiting = []
        waiting.append(batch)
        if len(waiting) == size:
            yield _group(waiting, step)
            waiting = []
        elif stops(step):
            yield from _singles(waiting, step)
            waiting = []
    yield from _singles(waiting, step)


def _singles(batches: list[_Batch], last: int) -> Iterator[Group]:
    for step, batch in enumerate(batches, start=last - len(batches) + 1):
        yield _group([batch], step)


def _group(batches: list[_Batch], last: int) -> Group:
    together = batches[0] if len(batches) == 1 else jax.tree.map(lambda *x: np.stack(x), *batches)
    # This waits neither for the copy nor for the steps before it.
    return Group(last, len(batches), jax.device_put(together), sum(map(_tokens, batches)))


def _tokens(batch: _Batch) -> int:
    mask = batch.get("attention_mask")
    return len(batch["labels"]) if mask is None else int(mask.sum())


def _shapes(batch: _Batch) -> Any:
    return jax.tree.map(np.shape, batch)
