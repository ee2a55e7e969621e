"""Encoding the splits of any kind of task."""

from typing import TYPE_CHECKING, Any

from experiments.tasks._encoding import Encoded, encode_candidates
from experiments.tasks._image_encoding import ImageFormat, ImageSplit
from experiments.tasks._masked_encoding import MaskedSplit
from experiments.tasks._task import Task
from experiments.tasks._text_encoding import TextSplit

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase

Split = Encoded | MaskedSplit | TextSplit | ImageSplit


def encode_splits(
    processor: "PreTrainedTokenizerBase | ImageFormat",
    splits: dict[str, list[Any]],
    *,
    max_length: int,
    task: Task | None = None,
) -> dict[str, Split]:
    """Makes arrays of the examples of all splits.

    All splits have `labels`, `lengths()`, `num_truncated`, and `batch(indices)`, which returns the
    arrays that the task's loss and scores take.

    Args:
      processor: the tokenizer of the model, or for pictures an `ImageFormat`.
      splits: examples by split, of `load_task`.
      max_length: longer sequences lose tokens.
      task: whose examples these are; None: one with options to choose from.

    Raises:
      ValueError: if an option or the tokenizer does not fit.
    """
    encode = encode_candidates if task is None else task.kind.encode
    return encode(processor, splits, max_length=max_length)
