"""What is minimized: a loss, or what is counted in the end.

Methods without gradients only look at numbers, so they may train on the metric itself (MeZO,
arXiv:2305.17333, section 3.3).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import tasks
from experiments._evaluation import make_writer
from experiments._rewards import PREFIX, load_reward, reward_objective

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase

OBJECTIVES = ("loss", "accuracy", "f1")
_Batch = Mapping[str, jax.Array]


class Objective(NamedTuple):
    """What is minimized, and the data that it takes.

    Attributes:
      value_fn: of a model and a batch, shape (), float32.
      data: the train split; has `labels` or `sequences`, and `batch(indices)`.
    """

    value_fn: Callable[[Any, _Batch], jax.Array]
    data: Any


def make_objective(name: str, task: tasks.Task, train: tasks.Split, processor: Any) -> Objective:
    """Returns an objective by its name.

    Args:
      name: "loss"; "accuracy" for 1 - accuracy; "f1" for 1 - F1 of generated answers;
        "reward:MODULE:FUNCTION" for minus the mean reward of generated answers.
      task: what the data are about.
      train: the train split.
      processor: what made the arrays: for text a tokenizer.

    Raises:
      ValueError: if the objective does not go with the task.
    """
    if name == "loss":
        return Objective(task.loss, train)
    generates = isinstance(task.kind, tasks.Generation)
    rewarded = name.startswith(PREFIX)
    if generates != (name == "f1" or rewarded):
        kind = type(task.kind).__name__.lower()
        raise ValueError(
            f"objective {name!r} does not go with a task of the kind {kind}; use 'loss' or "
            f"{'f1' if generates else 'accuracy'!r}"
        )
    if rewarded:
        return Objective(reward_objective(load_reward(name), task.kind, processor), train.prompts)
    if generates:
        return Objective(_f1(task.kind, processor), train.prompts)
    if isinstance(train, tasks.Encoded):  # all options, where the loss needs the right one alone
        train = dataclasses.replace(train, gold_only=False)
    return Objective(functools.partial(tasks.accuracy_loss, scores=task.scores), train)


def _f1(kind: tasks.Generation, tokenizer: "PreTrainedTokenizerBase"):
    write = make_writer(kind, tokenizer)
    classes = tasks.token_classes(tokenizer, kind.stop)

    def value_fn(model: Any, batch: _Batch) -> jax.Array:
        # A vocabulary is often padded to a round number; those tokens are no words.
        of_model = np.zeros(model.config.vocab_size, classes.dtype)
        of_model[: len(classes)] = classes
        return tasks.f1_loss(write(model, batch), batch["answer_ids"], jnp.asarray(of_model))

    return value_fn
