"""From words to padded arrays, for models that read from left to right.

Every candidate of an example (its text with one of the options) is one sequence. The tokens by
which it is longer than the prompt are its option tokens. Sequences are padded on the left, so
that option tokens always stand at the end, and cut on the left when they are too long.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from experiments.tasks._example import Example
from experiments.tasks._padding import Indices, pad, padded_length
from experiments.tasks._prompts import Prompts
from experiments.tasks._tokens import check_left_to_right, cut_left, token_ids

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase

Splits = dict[str, list[Example]]


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A split in tokens.

    Attributes:
      sequences: token ids by example and option.
      option_lengths: number of option tokens, shape (examples, options), int32; 0 where an example
        has fewer options than another.
      labels: index of the right option, shape (examples,), int32.
      gold: which options count as right, shape (examples, options), bool.
      max_option_length: the largest of the option lengths of all splits.
      max_length: no sequence is longer.
      num_truncated: how many sequences were cut to `max_length`.
      gold_only: whether batches hold the right option alone, which a loss may need no more than.
      prompts: what an answer is generated from, where one is.
    """

    sequences: list[list[np.ndarray]]
    option_lengths: np.ndarray
    labels: np.ndarray
    gold: np.ndarray
    max_option_length: int
    max_length: int
    num_truncated: int
    gold_only: bool = False
    prompts: Prompts | None = None

    @property
    def num_sequences(self) -> int:
        """The number of sequences that one example brings to a batch."""
        return 1 if self.gold_only else self.option_lengths.shape[1]

    def lengths(self) -> np.ndarray:
        """The length of the longest sequence of each example, shape (examples,)."""
        return np.array([max(map(len, candidates)) for candidates in self.sequences])

    def batch(self, indices: Indices, whole: Indices | None = None) -> dict[str, np.ndarray]:
        """Returns the examples given as padded arrays, as long as those of the whole batch.

        With B examples, C options (1 if `gold_only`), L the padded length and M
        `max_option_length`:

        - `input_ids` (B, C, L) int32 and `attention_mask` (B, C, L) bool, padded on the left;
        - `option_mask` (B, C, M) bool: which of the last M tokens are option tokens. An option
          that an example does not have has none; its tokens repeat those of the first option;
        - `labels` (B,) int32, zeros if `gold_only`.

        Args:
          indices: of the examples.
          whole: of the batch of which these are a part; None: they are all of it.
        """
        indices = np.asarray(indices)
        labels = self.labels[indices]
        sequences, option_lengths = self._chosen(indices)
        of_whole = sequences if whole is None else self._chosen(np.asarray(whole))[0]
        longest = max(map(len, of_whole))
        length = padded_length(max(longest, self.max_option_length + 1), self.max_length)
        input_ids, attention_mask = pad(sequences, length, left=True)
        from_end = np.arange(self.max_option_length, 0, -1)
        return {
            "input_ids": input_ids.reshape(*option_lengths.shape, length),
            "attention_mask": attention_mask.reshape(*option_lengths.shape, length),
            "option_mask": from_end <= option_lengths[..., None],
            "labels": np.zeros_like(labels) if self.gold_only else labels,
        }

    def _chosen(self, indices: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """The sequences that examples bring to a batch, and their option lengths (B, C)."""
        labels = self.labels[indices]
        options = labels[:, None] if self.gold_only else np.arange(self.option_lengths.shape[1])
        options = np.broadcast_to(options, (len(indices), self.num_sequences))
        option_lengths = np.take_along_axis(self.option_lengths[indices], options, axis=1)
        sequences = [
            self.sequences[example][option if option_lengths[row, column] else 0]
            for row, example in enumerate(indices)
            for column, option in enumerate(options[row])
        ]
        return sequences, option_lengths

    def pieces(self) -> "Encoded":
        """Every candidate as an example of its own: what is scored has no empty places then."""
        sequences = [[ids] for candidates in self.sequences for ids in candidates]
        zeros = np.zeros(len(sequences), np.int32)
        return dataclasses.replace(
            self,
            sequences=sequences,
            option_lengths=self.option_lengths[self.option_lengths > 0][:, None],
            labels=zeros,
            gold=np.ones((len(sequences), 1), bool),
            gold_only=False,
        )

    def gather(self, scores: np.ndarray) -> np.ndarray:
        """From scores (pieces, 1) to (examples, options), -inf in places without one."""
        gathered = np.full(self.option_lengths.shape, -np.inf, np.float32)
        gathered[self.option_lengths > 0] = scores[:, 0]
        return gathered


def encode_candidates(
    tokenizer: "PreTrainedTokenizerBase", splits: Splits, *, max_length: int
) -> dict[str, Encoded]:
    """Encodes all splits.

    Args:
      tokenizer: adds the special tokens of its model, such as a first token BOS.
      splits: examples by split.
      max_length: longer sequences lose tokens on the left, after BOS.

    Raises:
      ValueError: if an option adds no token, or leaves no room for a token of the prompt; if the
        tokenizer ends texts with a token of its own.
    """
    check_left_to_right(tokenizer)
    parts = {name: _rows(tokenizer, examples, max_length) for name, examples in splits.items()}
    num_options = max(len(lengths) for _, rows, _ in parts.values() for lengths in rows)
    longest = max(max(lengths) for _, rows, _ in parts.values() for lengths in rows)
    return {
        name: Encoded(
            sequences=sequences,
            option_lengths=np.array(
                [lengths + [0] * (num_options - len(lengths)) for lengths in rows], np.int32
            ),
            labels=np.array([example.label for example in splits[name]], np.int32),
            gold=_gold(splits[name], num_options),
            max_option_length=longest,
            max_length=max_length,
            num_truncated=num_truncated,
        )
        for name, (sequences, rows, num_truncated) in parts.items()
    }


def _rows(tokenizer, examples, max_length):
    """Sequences and option lengths by example and option, and how many had to be cut."""
    prompts = token_ids(tokenizer, [example.prompt for example in examples])
    candidates = iter(token_ids(tokenizer, [text for e in examples for text in e.candidates]))
    sequences, option_lengths, num_truncated = [], [], 0
    for example, prompt in zip(examples, prompts, strict=True):
        of_example = [next(candidates) for _ in example.candidates]
        option_lengths.append([len(ids) - len(prompt) for ids in of_example])
        for length, text in zip(option_lengths[-1], example.candidates, strict=True):
            _check_option(length, text, max_length)
        num_truncated += sum(len(ids) > max_length for ids in of_example)
        sequences.append([cut_left(ids, tokenizer.bos_token_id, max_length) for ids in of_example])
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


def _gold(examples: list[Example], num_options: int) -> np.ndarray:
    gold = np.zeros((len(examples), num_options), bool)
    for row, example in enumerate(examples):
        gold[row, list(example.gold or (example.label,))] = True
    return gold
