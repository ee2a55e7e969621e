"""Evaluation by candidate likelihood: the prediction is the option with the best score."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from experiments.tasks._encoding import Encoded
from experiments.tasks._task import Task


class Evaluation(NamedTuple):
    """How a model does on a split.

    Attributes:
      score: what the task's metric says, usually accuracy.
      loss: the mean training loss over the split.
    """

    score: float
    loss: float


def evaluate(
    scores_fn: Callable[[Any, dict[str, np.ndarray]], jax.Array],
    params: Any,
    split: Encoded,
    task: Task,
    *,
    batch_size: int,
) -> Evaluation:
    """Scores a whole split, the short examples first so that little padding is needed.

    Args:
      scores_fn: `(params, batch) -> (B, C)` scores, jitted.
      params: what `scores_fn` takes.
      split: the examples.
      task: whose metric judges.
      batch_size: examples a call; the last call is filled up with copies that do not count.
    """
    order = np.argsort(split.lengths(), kind="stable")
    chunks = [
        np.resize(order[start : start + batch_size], batch_size)
        for start in range(0, len(order), batch_size)
    ]
    # All calls are under way before the first result is fetched.
    scores = [scores_fn(params, split.batch(chunk)) for chunk in chunks]
    scores = np.concatenate(jax.device_get(scores))[: len(order)]
    labels = split.labels[order]
    losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
    return Evaluation(task.metric(scores.argmax(-1), labels), float(losses.mean()))
