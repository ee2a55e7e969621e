"""What is counted in the end, as a loss: without a gradient, but methods here need none.

    accuracy_loss = 1 - share of examples whose best score is the label's                (1)
    f1_loss       = 1 - mean over examples of the best F1 against one of the answers     (2)

(2) counts tokens where the metric `f1` counts words, and so stays on the device: a callback to
Python would hold up every one of an update's evaluations until the host is done, would have to be
told how to run for several points side by side, and does not work across hosts. Tokens that look
the same in lower case without spaces and punctuation are one class; articles and punctuation are
none. Where words are single tokens, (2) is 1 - F1 exactly. Reports use the metric itself.

Source: MeZO, arXiv:2305.17333, section 3.3, which minimizes the same numbers less one.
"""

import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from experiments.tasks._metrics import ARTICLES
from experiments.tasks._scores import Batch, option_scores

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase

_IGNORED, _END = 0, -1


def accuracy_loss(
    model: Any, batch: Batch, *, scores: Callable[[Any, Batch], jax.Array] = option_scores
) -> jax.Array:
    """Returns (1), shape (), float32.

    Args:
      model: what `scores` takes.
      batch: with `labels`. Where options differ between examples, batches hold the right one
        alone, and accuracy means nothing: use `dataclasses.replace(split, gold_only=False)`.
      scores: of what may be predicted, shape (B, C); `Task.scores`.

    Raises:
      ValueError: if there is only one option to choose.
    """
    values = scores(model, batch)
    if values.shape[-1] < 2:
        raise ValueError(
            "objective 'accuracy' needs at least two options a batch, and this split's batches "
            "hold the right one alone; use another objective or task"
        )
    return 1 - (values.argmax(-1) == batch["labels"]).mean(dtype=jnp.float32)


def f1_loss(tokens: jax.Array, answer_ids: jax.Array, classes: ArrayLike) -> jax.Array:
    """Returns (2), shape (), float32.

    Args:
      tokens: generated, shape (B, T); what follows the first token that ends an answer is ignored.
      answer_ids: of `Prompts.batch`, shape (B, A, U).
      classes: of `token_classes`.
    """
    classes = jnp.asarray(classes)
    predicted = classes[tokens]
    # An answer that is not there ends at once.
    right = jnp.where(answer_ids < 0, _END, classes[answer_ids])
    overlap = jax.vmap(jax.vmap(_bag_f1, in_axes=(None, 0)))(_bag(predicted), _bag(right))
    return 1 - overlap.max(-1).mean()


def token_classes(tokenizer: "PreTrainedTokenizerBase", stop: str = "\n") -> np.ndarray:
    """What each token counts as: 0 nothing, -1 the end of an answer, or the number of its class.

    Args:
      tokenizer: whose tokens these are.
      stop: ends an answer, as special tokens do.

    Returns:
      Shape (vocabulary,), int32.
    """
    numbers: dict[str, int] = {}
    size = max(tokenizer.get_vocab().values()) + 1
    classes = np.full(size, _IGNORED, np.int32)
    for index, text in enumerate(tokenizer.batch_decode([[index] for index in range(size)])):
        word = text.lower().strip().strip(string.punctuation)
        if stop in text or index in tokenizer.all_special_ids:
            classes[index] = _END
        elif word and word not in ARTICLES:
            classes[index] = numbers.setdefault(word, len(numbers) + 1)
    return classes


def end_tokens(tokenizer: "PreTrainedTokenizerBase", stop: str = "\n") -> np.ndarray:
    """The tokens that end an answer, shape (tokens,): for `zojax.models.generate(stop=...)`."""
    return np.flatnonzero(token_classes(tokenizer, stop) == _END)


def _bag(classes: jax.Array) -> jax.Array:
    """Nothing from the first end on."""
    return jnp.where(jnp.cumsum(classes == _END, axis=-1) > 0, _IGNORED, classes)


def _bag_f1(predicted: jax.Array, right: jax.Array) -> jax.Array:
    """F1 of two bags of classes, shapes (T,) and (U,)."""
    same = right[:, None] == right
    place = jnp.tril(same).sum(-1)  # 1 for the first of its class, 2 for the second, …
    available = (right[:, None] == predicted).sum(-1)
    common = ((right != _IGNORED) & (place <= available)).sum()
    total = (predicted != _IGNORED).sum() + (right != _IGNORED).sum()
    return 2 * common / jnp.maximum(total, 1).astype(jnp.float32)
