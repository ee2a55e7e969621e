"""Programs that judge a model on a split, whatever the task."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from flax import nnx

from experiments import tasks
from zojax import models

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase

    from experiments._layout import Layout

_Batch = Mapping[str, jax.Array]


def make_evaluate(
    task: tasks.Task,
    processor: Any,
    merge: Callable[[Any], nnx.Module],
    *,
    batch_size: int,
    layout: "Layout | None" = None,
) -> Callable[..., tasks.Evaluation]:
    """Returns `(weights, split, watch=...) -> Evaluation`, whose programs are compiled once.

    Args:
      task: whose metric judges.
      processor: what made the arrays: for text a tokenizer.
      merge: from the weights to the model.
      batch_size: examples a call.
      layout: of the weights; every device then takes a part of each batch, and every process gets
        the result. None: all is on one device.
    """
    scores = _program(lambda weights, batch: task.scores(merge(weights), batch), layout)
    extra = {}
    if isinstance(task.kind, tasks.Generation):
        write = make_writer(task.kind, processor)
        generate = _program(lambda weights, batch: write(merge(weights), batch), layout)
        extra = {"generate": generate, "tokenizer": processor}
    return functools.partial(_evaluate, scores, task, batch_size=batch_size, **extra)


def _program(
    function: Callable[[Any, _Batch], jax.Array], layout: "Layout | None"
) -> Callable[[Any, Mapping[str, np.ndarray]], jax.Array]:
    if layout is None:
        return jax.jit(function)
    program = jax.jit(function, out_shardings=layout.replicated)
    return lambda weights, batch: program(weights, layout.share(batch))


def make_writer(
    kind: tasks.Generation, tokenizer: "PreTrainedTokenizerBase"
) -> Callable[[nnx.Module, _Batch], jax.Array]:
    """Returns `(model, batch) -> (B, T)`: the answers to prompts in tokens, the likeliest ones."""
    # Every token that has the stop in it ends an answer, and so do special tokens.
    stops = tuple(int(i) for i in np.flatnonzero(tasks.token_classes(tokenizer, kind.stop) == -1))

    def write(model: nnx.Module, batch: _Batch) -> jax.Array:
        return models.generate(
            model,
            batch["input_ids"],
            batch["attention_mask"],
            max_new_tokens=kind.max_new_tokens,
            stop=stops,
            pad_token_id=tokenizer.eos_token_id,
        )

    return write


def _evaluate(scores, task, weights, split, **settings) -> tasks.Evaluation:
    return tasks.evaluate(scores, weights, split, task, **settings)
