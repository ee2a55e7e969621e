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
Watch = Callable[[int, int], None]


class Evaluation(NamedTuple):
    """How a model does on a split.

    Attributes:
      score: what the task's metric says, usually accuracy.
      loss: the mean training loss over the split.
    """

    score: float
    loss: float


def _unwatched(done: int, total: int) -> None:
    """Nobody looks."""


def evaluate(
    scores_fn: Callable[[Any, Batch], jax.Array],
    params: Any,
    split: Any,
    task: Task,
    *,
    batch_size: int,
    generate: Callable[[Any, Batch], jax.Array] | None = None,
    tokenizer: "PreTrainedTokenizerBase | None" = None,
    watch: Watch = _unwatched,
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
      watch: told how many sequences were sent to the device, and of how many.

    Raises:
      ValueError: if the task needs `generate` and `tokenizer`, and one of them is missing.
    """
    scores = score_split(scores_fn, params, split, batch_size, watch)
    if isinstance(task.kind, Generation):
        predictions = write_answers(
            generate, tokenizer, params, split, task.kind, batch_size, watch
        )
        score = task.metric(predictions, split.prompts.answers)
    else:
        score = task.metric(*_predict(scores, split))
    return Evaluation(score, task.kind.mean_loss(scores, split))


def score_split(
    scores_fn: Callable[[Any, Batch], jax.Array],
    params: Any,
    split: Any,
    batch_size: int,
    watch: Watch = _unwatched,
) -> np.ndarray:
    """Scores of every option of every example, (examples, options), as `evaluate` makes them."""
    per_call = batch_size * split.num_sequences
    return split.gather(_in_chunks(scores_fn, params, split.pieces(), per_call, watch))


def write_answers(
    generate: Callable[[Any, Batch], jax.Array] | None,
    tokenizer: "PreTrainedTokenizerBase | None",
    params: Any,
    split: Any,
    kind: Generation,
    batch_size: int,
    watch: Watch = _unwatched,
) -> list[str]:
    """The answer to every prompt, as `evaluate` makes them."""
    texts = _generate(generate, tokenizer, params, split, batch_size, watch)
    return [kind.answer(text) for text in texts]


def _in_chunks(function, params, rows, size, watch) -> np.ndarray:
    """Calls a function for chunks of rows of similar length; returns one result for each row."""
    order = np.argsort(rows.lengths(), kind="stable")
    results = []
    for start in range(0, len(order), size):
        chunk = np.resize(order[start : start + size], size)
        results.append(function(params, rows.batch(chunk)))
        if len(results) > _AHEAD:
            results[-1 - _AHEAD] = np.asarray(results[-1 - _AHEAD])
        watch(min(start + size, len(order)), len(order))
    in_order = np.concatenate(jax.device_get(results))[: len(order)]
    return in_order[np.argsort(order, kind="stable")]


def _predict(scores, split):
    """Predictions and labels; a prediction that counts as right is its own label."""
    predictions, gold = scores.argmax(-1), getattr(split, "gold", None)
    if gold is None:
        return predictions, split.labels
    is_right = np.take_along_axis(gold, predictions[:, None], axis=1)[:, 0]
    return predictions, np.where(is_right, predictions, split.labels)


def _generate(generate, tokenizer, params, split, batch_size, watch) -> list[str]:
    if generate is None or tokenizer is None:
        raise ValueError(
            "generate and tokenizer are needed: this task's answers are written by the model, "
            "and judged as text"
        )
    tokens = _in_chunks(generate, params, split.prompts, batch_size, watch)
    return tokenizer.batch_decode(tokens, skip_special_tokens=True)
