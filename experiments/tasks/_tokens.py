"""What is asked of a tokenizer."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase


def token_ids(
    tokenizer: "PreTrainedTokenizerBase", texts: list[str], *, special: bool = True
) -> list[list[int]]:
    """The tokens of texts, with the special ones of the model unless told otherwise."""
    return tokenizer(texts, add_special_tokens=special, verbose=False)["input_ids"]


def check_left_to_right(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Checks that nothing follows a text, so that its last tokens are those of the option.

    Raises:
      ValueError: for tokenizers like BERT's, which end every text with a token of their own.
    """
    (ids,) = token_ids(tokenizer, ["text"])
    plain = len(token_ids(tokenizer, ["text"], special=False)[0])
    first = int(ids[0] == tokenizer.bos_token_id)
    if len(ids) > plain + first:
        last = tokenizer.convert_ids_to_tokens(ids[-1])
        raise ValueError(
            f"model: its tokenizer ends texts with {last!r}, so it does not go on where a text "
            f"ends; choose a template with {{mask}}, or --head classifier"
        )


def cut_left(ids: list[int], bos: int | None, max_length: int) -> np.ndarray:
    """Keeps the last tokens, and BOS if it stands first."""
    if len(ids) <= max_length:
        return np.array(ids, np.int32)
    first = ids[:1] if ids[0] == bos else []
    return np.array(first + ids[len(ids) - max_length + len(first) :], np.int32)
