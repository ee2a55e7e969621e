"""The settings of a RoBERTa model, as its `config.json` has them."""

import dataclasses
from typing import ClassVar

from zojax.models._bert_config import BERTConfig
from zojax.models._fields import Size


@dataclasses.dataclass(frozen=True)
class RoBERTaConfig(BERTConfig):
    """Settings of a RoBERTa model: those of BERT, with defaults of Hugging Face's `config.json`.

    Attributes:
      pad_token_id: the token of padding. The row of the position table with this number belongs to
        padding and the rows after it to tokens, so that sequences have at most
        `max_position_embeddings` - `pad_token_id` - 1 tokens.

    Raises:
      ValueError: as for BERT, and without a `pad_token_id` that leaves room for tokens.
    """

    model_type: ClassVar[str] = "roberta"

    vocab_size: Size = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 2

    def __post_init__(self):
        super().__post_init__()
        last = self.max_position_embeddings - 2
        if not isinstance(self.pad_token_id, int) or not 0 <= self.pad_token_id <= last:
            raise ValueError(
                f"pad_token_id must be an integer from 0 to max_position_embeddings - 2 = {last}, "
                f"since the positions of tokens start after it; it is {self.pad_token_id!r}."
            )

    @property
    def first_position(self) -> int:
        """The row of the position table that belongs to the first token."""
        return self.pad_token_id + 1
