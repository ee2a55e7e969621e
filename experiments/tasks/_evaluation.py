"""Evaluation of a whole split: the prediction is what has the best score, or what is generated."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from experiments.tasks._kinds import Generation
from experiments.tasks._task import Task

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase

# Batches under way at a time: the device never waits, and not all of a split lies on it.
_AHEAD = 3
Batch = dict[str, np.ndarray]


class Evaluation(NamedTuple):
    """How a model does on a split.

    Attributes:
      score: what the task's metric says, usually accuracy.
      loss: the mean training loss over the split.
    """

    score: float
    loss: float


def evaluate(
    scores_fn: Callable[[Any, Batch], jax.Array],
    params: Any,
    split: Any,
    task: Task,
    *,
    batch_size: int,
    generate: Callable[[Any, Batch], jax.Array] | None = None,
    tokenizer: "PreTrainedTokenizerBase | None" = None,
) -> Evaluation:
    """Scores a whole split, what is short first so that little padding is needed.

    Args:
      scores_fn: `(params, batch) -> (B, C)` scores, jitted; `Task.scores` of a model.
      params: what `scores_fn` takes.
      split: the examples, encoded.
      task: whose metric judges.
      batch_size: examples a call; the last call is filled up with copies that do not count. A call
        has as many sequences as a batch of so many examples has in training.
      generate: `(params, batch) -> (B, T)` token ids that follow the prompts of `Prompts.batch`,
        T = `task.kind.max_new_tokens` at most, jitted; for tasks with answers in free text.
      tokenizer: turns them into text.

    Raises:
      ValueError: if the task needs `generate` and `tokenizer`, and one of them is missing.
    """
    pieces = split.pieces()
    per_call = batch_size * split.num_sequences
    scores = split.gather(_in_chunks(scores_fn, params, pieces, per_call))
    if isinstance(task.kind, Generation):
        texts = _generate(generate, tokenizer, params, split, batch_size)
        predictions = [task.kind.answer(text) for text in texts]
        score = task.metric(predictions, split.prompts.answers)
    else:
        score = task.metric(*_predict(scores, split))
    return Evaluation(score, task.kind.mean_loss(scores, split))


def _in_chunks(function, params, rows, size) -> np.ndarray:
    """Calls a function for chunks of rows of similar length; returns one result for each row."""
    order = np.argsort(rows.lengths(), kind="stable")
    results = []
    for start in range(0, len(order), size):
        chunk = np.resize(order[start : start + size], size)
        results.append(function(params, rows.batch(chunk)))
        if len(results) > _AHEAD:
            results[-1 - _AHEAD] = np.asarray(results[-1 - _AHEAD])
    in_order = np.concatenate(jax.device_get(results))[: len(order)]
    return in_order[np.argsort(order, kind="stable")]


def _predict(scores, split):
    """Predictions and labels; a prediction that counts as right is its own label."""
    predictions, gold = scores.argmax(-1), getattr(split, "gold", None)
    if gold is None:
        return predictions, split.labels
    is_right = np.take_along_axis(gold, predictions[:, None], axis=1)[:, 0]
    return predictions, np.where(is_right, predictions, split.labels)


def _generate(generate, tokenizer, params, split, batch_size) -> list[str]:
    if generate is None or tokenizer is None:
        raise ValueError(
            "generate and tokenizer are needed: this task's answers are written by the model, "
            "and judged as text"
        )
    tokens = _in_chunks(generate, params, split.prompts, batch_size)
    return tokenizer.batch_decode(tokens, skip_special_tokens=True)
