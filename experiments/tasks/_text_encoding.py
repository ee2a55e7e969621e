"""From texts, or pairs of them, to padded arrays for a classifier; padding stands on the right."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from experiments.tasks._example import TextExample
from experiments.tasks._padding import Indices, pad, padded_length

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import BatchEncoding, PreTrainedTokenizerBase


@dataclasses.dataclass(frozen=True)
class TextSplit:
    """A split in tokens.

    Attributes:
      sequences: token ids by example.
      token_types: for each token, 0 in a first text and 1 in a second, by example; None where the
        model is not told.
      labels: classes, shape (examples,), int32.
      max_length: no sequence is longer.
      num_truncated: how many sequences were cut to `max_length`.
    """

    sequences: list[np.ndarray]
    token_types: list[np.ndarray] | None
    labels: np.ndarray
    max_length: int
    num_truncated: int
    num_sequences = 1

    def lengths(self) -> np.ndarray:
        """The length of each sequence, shape (examples,)."""
        return np.array([len(ids) for ids in self.sequences])

    def batch(self, indices: Indices, whole: Indices | None = None) -> dict[str, np.ndarray]:
        """Returns the examples given as padded arrays, as long as those of the whole batch.

        With B examples and L the padded length:

        - `input_ids` (B, L) int32 and `attention_mask` (B, L) bool, padded on the right;
        - `token_type_ids` (B, L) int32, 0 at padding, if the split has them;
        - `labels` (B,) int32.

        Args:
          indices: of the examples.
          whole: of the batch of which these are a part; None: they are all of it.
        """
        longest = max(len(self.sequences[index]) for index in (indices if whole is None else whole))
        length = padded_length(longest, self.max_length)
        input_ids, mask = pad([self.sequences[i] for i in indices], length, left=False)
        batch = {"input_ids": input_ids, "attention_mask": mask}
        if self.token_types is not None:
            batch["token_type_ids"], _ = pad(
                [self.token_types[i] for i in indices], length, left=False
            )
        return batch | {"labels": self.labels[np.asarray(indices)]}

    def pieces(self) -> "TextSplit":
        """What is scored at a time: a sequence scores all of its classes."""
        return self

    def gather(self, scores: np.ndarray) -> np.ndarray:
        """From scores of the pieces to those of the examples: the same."""
        return scores


def encode_texts(
    tokenizer: "PreTrainedTokenizerBase",
    splits: dict[str, list[TextExample]],
    *,
    max_length: int,
) -> dict[str, TextSplit]:
    """Encodes all splits.

    Args:
      tokenizer: adds the special tokens of its model, also between the texts of a pair.
      splits: examples by split, all of one text or all of two.
      max_length: longer sequences are cut by the tokenizer, at the end unless it says otherwise,
        of a pair the longer text first.

    Raises:
      ValueError: if a text has no tokens.
    """
    encoded = {name: _encode(tokenizer, texts, max_length) for name, texts in splits.items()}
    all_types = (types for rows, _ in encoded.values() for types in rows.get("token_type_ids", ()))
    # A model that has types takes 0 where it is told nothing.
    typed = any(any(types) for types in all_types)
    return {
        name: TextSplit(
            sequences=_arrays(rows["input_ids"]),
            token_types=_arrays(rows["token_type_ids"]) if typed else None,
            labels=np.array([example.label for example in splits[name]], np.int32),
            max_length=max_length,
            num_truncated=num_truncated,
        )
        for name, (rows, num_truncated) in encoded.items()
    }


def _encode(
    tokenizer: "PreTrainedTokenizerBase", examples: list[TextExample], max_length: int
) -> tuple["BatchEncoding", int]:
    texts = [list(column) for column in zip(*(example.texts for example in examples), strict=True)]
    rows = tokenizer(*texts, truncation=True, max_length=max_length)
    for ids, example in zip(rows["input_ids"], examples, strict=True):
        if not ids:
            raise ValueError(f"the text {example.texts[0]!r} has no tokens; leave such rows out")
    return rows, sum(bool(encoding.overflowing) for encoding in rows.encodings or ())


def _arrays(rows: list[list[int]]) -> list[np.ndarray]:
    return [np.array(row, np.int32) for row in rows]
