"""Prompts in tokens, for generating answers."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from experiments.tasks._example import Example
from experiments.tasks._padding import Indices, pad, padded_length
from experiments.tasks._tokens import cut_left, token_ids

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase


@dataclasses.dataclass(frozen=True)
class Prompts:
    """What answers are generated from, and compared with.

    Attributes:
      sequences: token ids of the prompts.
      answers: the right answers of each.
      answer_ids: the same in tokens.
      max_length: no prompt is longer; it leaves room for an answer.
    """

    sequences: list[np.ndarray]
    answers: list[tuple[str, ...]]
    answer_ids: list[list[np.ndarray]]
    max_length: int

    def lengths(self) -> np.ndarray:
        """The length of each prompt, shape (examples,)."""
        return np.array([len(ids) for ids in self.sequences])

    def batch(self, indices: Indices, whole: Indices | None = None) -> dict[str, np.ndarray]:
        """Returns the prompts given as padded arrays, as long as those of the whole batch.

        With B prompts, L the padded length, A the most answers that any prompt of the split has,
        and T the most tokens that any answer has:

        - `input_ids` (B, L) int32 and `attention_mask` (B, L) bool, padded on the left;
        - `answer_ids` (B, A, T) int32, -1 where there is no token.

        Args:
          indices: of the prompts.
          whole: of the batch of which these are a part; None: they are all of it.
        """
        chosen = [self.sequences[index] for index in indices]
        longest = max(len(self.sequences[index]) for index in (indices if whole is None else whole))
        length = padded_length(longest, self.max_length)
        input_ids, attention_mask = pad(chosen, length, left=True)
        num_answers = max(map(len, self.answer_ids))
        longest = max(len(ids) for rows in self.answer_ids for ids in rows)
        answer_ids = np.full((len(chosen), num_answers, longest), -1, np.int32)
        for row, index in enumerate(indices):
            for column, ids in enumerate(self.answer_ids[index]):
                answer_ids[row, column, : len(ids)] = ids
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "answer_ids": answer_ids,
        }


def encode_prompts(
    tokenizer: "PreTrainedTokenizerBase", examples: list[Example], *, max_length: int
) -> Prompts:
    """Encodes what an answer is generated from, and the answers.

    Args:
      tokenizer: adds the special tokens of its model.
      examples: with `answers`.
      max_length: longer prompts lose tokens on the left, after BOS.

    Raises:
      ValueError: if there is no room for a prompt.
    """
    if max_length < 2:
        raise ValueError(
            f"max_new_tokens leaves {max_length} of the model's tokens for the prompt; choose a "
            f"model that reads longer texts, or raise max_length"
        )
    prompts = token_ids(tokenizer, [example.prompt for example in examples])
    answers = [
        token_ids(tokenizer, [f" {answer}" for answer in example.answers], special=False)
        for example in examples
    ]
    return Prompts(
        sequences=[cut_left(ids, tokenizer.bos_token_id, max_length) for ids in prompts],
        answers=[example.answers for example in examples],
        answer_ids=[[np.array(ids, np.int32) for ids in rows] for rows in answers],
        max_length=max_length,
    )
