"""From words to padded arrays.

Every candidate of an example (its text with one of the options) is one sequence. The tokens by
which it is longer than the prompt are its option tokens. Sequences are padded on the left, so
that option tokens always stand at the end, and cut on the left when they are too long.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.tasks._task import Example

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A split in tokens.

    Attributes:
      sequences: token ids by example and option.
      option_lengths: number of option tokens, shape (examples, options), int32.
      labels: index of the right option, shape (examples,), int32.
      max_option_length: the largest of the option lengths of all splits.
      max_length: no sequence is longer.
      num_truncated: how many sequences were cut to `max_length`.
    """

    sequences: list[list[np.ndarray]]
    option_lengths: np.ndarray
    labels: np.ndarray
    max_option_length: int
    max_length: int
    num_truncated: int

    def lengths(self) -> np.ndarray:
        """The length of the longest sequence of each example, shape (examples,)."""
        return np.array([max(map(len, candidates)) for candidates in self.sequences])

    def batch(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """Returns the examples given as padded arrays.

        With B examples, C options, L the padded length and M `max_option_length`:

        - `input_ids` (B, C, L) int32 and `attention_mask` (B, C, L) bool, padded on the left;
        - `option_mask` (B, C, M) bool: which of the last M tokens are option tokens;
        - `labels` (B,) int32.
        """
        chosen = [self.sequences[index] for index in indices]
        longest = max(len(ids) for candidates in chosen for ids in candidates)
        length = padded_length(max(longest, self.max_option_length + 1), self.max_length)
        input_ids = np.zeros((len(chosen), len(chosen[0]), length), np.int32)
        attention_mask = np.zeros(input_ids.shape, bool)
        for row, candidates in enumerate(chosen):
            for column, ids in enumerate(candidates):
                input_ids[row, column, length - len(ids) :] = ids
                attention_mask[row, column, length - len(ids) :] = True
        from_end = np.arange(self.max_option_length, 0, -1)
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "option_mask": from_end <= self.option_lengths[np.asarray(indices)][..., None],
            "labels": self.labels[np.asarray(indices)],
        }


def padded_length(length: int, max_length: int) -> int:
    """The least of 8, 16, 24, 32, 48, 64, 96, 128, ... that is not below `length`.

    All are multiples of 8, two in each octave: every length is one more program to compile.
    The last one is `max_length`, whatever it is.
    """
    power = max(8, 1 << (length - 1).bit_length())
    between = power * 3 // 4
    fits = length <= between and between % 8 == 0
    return min(between if fits else power, max_length)


def encode_splits(
    tokenizer: "PreTrainedTokenizerBase", splits: dict[str, list[Example]], *, max_length: int
) -> dict[str, Encoded]:
    """Encodes all splits.

    Args:
      tokenizer: adds the special tokens of its model, such as a first token BOS.
      splits: examples by split.
      max_length: longer sequences lose tokens on the left, after BOS.

    Raises:
      ValueError: if an option adds no token, or leaves no room for a token of the prompt.
    """
    parts = {}
    for split, examples in splits.items():
        prompts = _token_ids(tokenizer, [example.prompt for example in examples])
        candidates = _token_ids(tokenizer, [text for e in examples for text in e.candidates])
        parts[split] = _rows(prompts, candidates, examples, tokenizer, max_length)
    longest = max(int(lengths.max()) for _, lengths, _ in parts.values())
    return {
        split: Encoded(
            sequences=sequences,
            option_lengths=lengths,
            labels=np.array([example.label for example in splits[split]], np.int32),
            max_option_length=longest,
            max_length=max_length,
            num_truncated=num_truncated,
        )
        for split, (sequences, lengths, num_truncated) in parts.items()
    }


def _token_ids(tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, verbose=False)["input_ids"]


def _rows(prompts, candidates, examples, tokenizer, max_length):
    """Sequences and option lengths by example and option, and how many had to be cut."""
    num_options = len(examples[0].candidates)
    option_lengths = np.zeros((len(examples), num_options), np.int32)
    sequences, num_truncated = [], 0
    for row, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        of_example = candidates[row * num_options : (row + 1) * num_options]
        for column, ids in enumerate(of_example):
            option_lengths[row, column] = len(ids) - len(prompt)
            _check_option(option_lengths[row, column], example.candidates[column], max_length)
            num_truncated += len(ids) > max_length
        sequences.append([_cut(ids, tokenizer.bos_token_id, max_length) for ids in of_example])
    return sequences, option_lengths, num_truncated


def _check_option(option_length: int, text: str, max_length: int) -> None:
    if option_length < 1:
        raise ValueError(
            f"options: the option at the end of {text!r} adds no token to its prompt; choose "
            f"other options or another template"
        )
    if option_length + 2 > max_length:
        raise ValueError(
            f"max_length {max_length} leaves no room for a prompt beside the {option_length} "
            f"option tokens of {text!r}; raise it or choose shorter options"
        )


def _cut(ids: list[int], bos: int | None, max_length: int) -> np.ndarray:
    """Keeps the last tokens, and BOS if it stands first."""
    if len(ids) <= max_length:
        return np.array(ids, np.int32)
    first = ids[:1] if ids[0] == bos else []
    return np.array(first + ids[len(ids) - max_length + len(first) :], np.int32)
