"""From words to padded arrays, for masked language models; padding stands on the right."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from experiments.tasks._example import MaskedExample
from experiments.tasks._padding import Indices, pad, padded_length
from experiments.tasks._tokens import token_ids

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase


@dataclasses.dataclass(frozen=True)
class MaskedSplit:
    """A split in tokens.

    Attributes:
      sequences: token ids by example.
      mask_positions: where the mask stands in each, shape (examples,), int32.
      word_ids: tokens of the words that may stand there, shape (words,), int32.
      labels: index of the right word, shape (examples,), int32.
      max_length: no sequence is longer.
      num_truncated: how many sequences were cut to `max_length`.
    """

    sequences: list[np.ndarray]
    mask_positions: np.ndarray
    word_ids: np.ndarray
    labels: np.ndarray
    max_length: int
    num_truncated: int
    num_sequences = 1

    def lengths(self) -> np.ndarray:
        """The length of each sequence, shape (examples,)."""
        return np.array([len(ids) for ids in self.sequences])

    def batch(self, indices: Indices, whole: Indices | None = None) -> dict[str, np.ndarray]:
        """Returns the examples given as padded arrays, as long as those of the whole batch.

        With B examples, C words and L the padded length:

        - `input_ids` (B, L) int32 and `attention_mask` (B, L) bool, padded on the right;
        - `mask_positions` (B,) int32, `word_ids` (B, C) int32 and `labels` (B,) int32.

        Args:
          indices: of the examples.
          whole: of the batch of which these are a part; None: they are all of it.
        """
        indices = np.asarray(indices)
        chosen = [self.sequences[index] for index in indices]
        longest = max(len(self.sequences[index]) for index in (indices if whole is None else whole))
        length = padded_length(longest, self.max_length)
        input_ids, attention_mask = pad(chosen, length, left=False)
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "mask_positions": self.mask_positions[indices],
            "word_ids": np.tile(self.word_ids, (len(chosen), 1)),
            "labels": self.labels[indices],
        }

    def pieces(self) -> "MaskedSplit":
        """What is scored at a time: a sequence scores all of its words."""
        return self

    def gather(self, scores: np.ndarray) -> np.ndarray:
        """From scores of the pieces to those of the examples: the same."""
        return scores


def encode_masked(
    tokenizer: "PreTrainedTokenizerBase",
    splits: dict[str, list[MaskedExample]],
    *,
    max_length: int,
) -> dict[str, MaskedSplit]:
    """Encodes all splits.

    Args:
      tokenizer: of a masked language model.
      splits: examples by split, all with the same words.
      max_length: longer sequences lose tokens on the left, after the first special token; where
        the mask is reached, the rest on the right, before the last one.

    Raises:
      ValueError: if there is no mask token; if a text holds it already; if a word is not one token
        behind a space, or two words are the same token.
    """
    if tokenizer.mask_token_id is None:
        raise ValueError(
            "model: its tokenizer has no mask token; choose a task for language models that read "
            "from left to right, without _masked in its name"
        )
    words = next(example.words for examples in splits.values() for example in examples)
    word_ids = _word_ids(tokenizer, words)
    return {
        name: _encode_split(tokenizer, examples, word_ids, max_length)
        for name, examples in splits.items()
    }


def _encode_split(tokenizer, examples, word_ids, max_length):
    mask = tokenizer.mask_token
    texts = [example.before + mask + example.after for example in examples]
    sequences, positions, num_truncated = [], [], 0
    for text, ids in zip(texts, token_ids(tokenizer, texts), strict=True):
        if ids.count(tokenizer.mask_token_id) != 1:
            raise ValueError(f"the text {text!r} must hold {mask} once, for the word to fill in")
        num_truncated += len(ids) > max_length
        kept = _cut_beside(ids, ids.index(tokenizer.mask_token_id), max_length)
        sequences.append(np.array(kept, np.int32))
        positions.append(kept.index(tokenizer.mask_token_id))
    return MaskedSplit(
        sequences=sequences,
        mask_positions=np.array(positions, np.int32),
        word_ids=word_ids,
        labels=np.array([example.label for example in examples], np.int32),
        max_length=max_length,
        num_truncated=num_truncated,
    )


def _cut_beside(ids: list[int], mask_position: int, max_length: int) -> list[int]:
    """Keeps the first token, the last one, and the mask."""
    excess = max(0, len(ids) - max_length)
    left = min(excess, mask_position - 1)
    right = len(ids) - 1 - (excess - left)
    return ids[:1] + ids[1 + left : right] + ids[-1:]


def _word_ids(tokenizer, words):
    rows = token_ids(tokenizer, [f" {word}" for word in words], special=False)
    for word, ids in zip(words, rows, strict=True):
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
            tokens = tokenizer.convert_ids_to_tokens(ids)
            raise ValueError(
                f"options: {word!r} must be one token of the model, but behind a space it is "
                f"{tokens}; choose another word with --options"
            )
    if len({ids[0] for ids in rows}) < len(rows):
        raise ValueError(f"options: two of {list(words)} are the same token of the model")
    return np.array(rows, np.int32)[:, 0]
