"""What a model holds to be the next words after a review: its verdict, without any training."""

import jax
import jax.numpy as jnp
import numpy as np
import tokenizers
from flax import nnx

PAD = 1
_BATCH_SIZE = 100


def next_log_probabilities(
    model: nnx.Module, tokenizer: tokenizers.Tokenizer, prompts: list[str]
) -> np.ndarray:
    """Log-probabilities of the token that follows each prompt, (prompts, vocab_size)."""
    encoded = [tokenizer.encode(prompt).ids for prompt in prompts]
    length = max(map(len, encoded))
    input_ids = jnp.array([[PAD] * (length - len(ids)) + ids for ids in encoded])

    @nnx.jit
    def last(model, input_ids):
        features = model.features(input_ids, (input_ids != PAD).astype(jnp.int32))
        return jax.nn.log_softmax(model.attend(features[:, -1]))

    starts = range(0, len(prompts), _BATCH_SIZE)
    return np.concatenate([last(model, input_ids[i : i + _BATCH_SIZE]) for i in starts])


def accuracy(
    log_probabilities: np.ndarray,
    tokenizer: tokenizers.Tokenizer,
    labels: list[int],
    verbalizers: tuple[tuple[str, ...], tuple[str, ...]],
) -> float:
    """The share of prompts whose label has the likelier words.

    Args:
      log_probabilities: what `next_log_probabilities` returns.
      tokenizer: turns words into tokens; of a longer word the first token counts.
      labels: 0 or 1 for each prompt.
      verbalizers: the words of label 0 and those of label 1; their probabilities are added up.
    """
    first, second = (
        np.logaddexp.reduce(
            log_probabilities[:, [_first_token(tokenizer, word) for word in group]], axis=1
        )
        for group in verbalizers
    )
    return float(np.mean((second > first) == np.array(labels, bool)))


def _first_token(tokenizer: tokenizers.Tokenizer, word: str) -> int:
    return tokenizer.encode(" " + word, add_special_tokens=False).ids[0]
