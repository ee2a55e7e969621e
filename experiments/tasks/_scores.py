"""How a model scores what may be predicted, and the losses that train it.

With o an option of an example, T_o its tokens, and p the model's distribution given all tokens
before,

    s_o = 1/|T_o| ∑_{t ∈ T_o} log p(t)                                                   (1)
    option_loss = mean over examples of -log softmax(s)[label]                           (2)
    answer_loss = -(∑_{t} log p(t)) / (number of t),  t in the right options of a batch  (3)

(2) trains classification, (3) choice and generation; both predict the option of the best score.
Prompt tokens never count. Where a word is masked, or a text or picture classified, s are the logits
of the words at the mask, or those of the classes, and the loss is (2).

Source: Malladi et al., "Fine-Tuning Language Models with Just Forward Passes", arXiv:2305.17333,
appendix E.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

Batch = Mapping[str, jax.Array]


def option_scores(model: Any, batch: Batch) -> jax.Array:
    """Returns (1), shape (B, C), float32; -inf for an option that an example does not have.

    Args:
      model: has `features(input_ids, attention_mask)` and `attend(features)`, as
        `zojax.models.OPT`.
      batch: the arrays that `Encoded.batch` makes.
    """
    mask = batch["option_mask"]
    number = mask.sum(-1)
    total = jnp.where(mask, _log_likelihoods(model, batch), 0.0).sum(-1)
    return jnp.where(number > 0, total / jnp.maximum(number, 1), -jnp.inf)


def option_loss(model: Any, batch: Batch) -> jax.Array:
    """Returns (2), shape (), float32; arguments as above."""
    return _cross_entropy(option_scores(model, batch), batch["labels"])


def answer_loss(model: Any, batch: Batch) -> jax.Array:
    """Returns (3), shape (), float32; arguments as above.

    Of a batch with several options, only the right ones count.
    """
    right = jnp.arange(batch["option_mask"].shape[1]) == batch["labels"][:, None]
    mask = batch["option_mask"] & right[..., None]
    return -jnp.where(mask, _log_likelihoods(model, batch), 0.0).sum() / mask.sum()


def masked_scores(model: Any, batch: Batch) -> jax.Array:
    """Returns the logits of the words at the mask, shape (B, C), float32.

    Args:
      model: as above, of a masked language model. Only the features at the mask meet the
        vocabulary.
      batch: the arrays that `MaskedSplit.batch` makes.
    """
    features = model.features(batch["input_ids"], batch["attention_mask"])
    at_mask = jnp.take_along_axis(features, batch["mask_positions"][:, None, None], axis=1)[:, 0]
    return jnp.take_along_axis(model.attend(at_mask), batch["word_ids"], axis=1)


def masked_loss(model: Any, batch: Batch) -> jax.Array:
    """Returns (2) for words at a mask, shape (), float32; arguments as above."""
    return _cross_entropy(masked_scores(model, batch), batch["labels"])


def text_scores(model: Any, batch: Batch) -> jax.Array:
    """Returns the logits of the classes, shape (B, C), float32.

    Args:
      model: with a classifier.
      batch: the arrays that `TextSplit.batch` makes.
    """
    return model(batch["input_ids"], batch["attention_mask"], *types_for(model, batch))


def types_for(model: Any, batch: Batch) -> list[jax.Array]:
    """The types of tokens, for a model that knows more than one, as an argument or none."""
    typed = "token_type_ids" in batch and getattr(model.config, "type_vocab_size", 1) > 1
    return [batch["token_type_ids"]] if typed else []


def text_loss(model: Any, batch: Batch) -> jax.Array:
    """Returns (2) for classes of texts, shape (), float32; arguments as above."""
    return _cross_entropy(text_scores(model, batch), batch["labels"])


def image_scores(model: Any, batch: Batch) -> jax.Array:
    """Returns the logits of the classes, shape (B, C), float32.

    Args:
      model: from pixel values to logits.
      batch: the arrays that `ImageSplit.batch` makes.
    """
    return model(batch["pixel_values"]).astype(jnp.float32)


def image_loss(model: Any, batch: Batch) -> jax.Array:
    """Returns (2) for classes, shape (), float32; arguments as above."""
    return _cross_entropy(image_scores(model, batch), batch["labels"])


def mean_option_loss(scores: np.ndarray, split: Any) -> float:
    """(2) of a whole split, given the scores of its examples, (examples, C)."""
    right = np.take_along_axis(scores, split.labels[:, None], axis=1)[:, 0]
    return float((np.logaddexp.reduce(scores, axis=-1) - right).mean(dtype=np.float64))


def mean_answer_loss(scores: np.ndarray, split: Any) -> float:
    """(3) of a whole split as if it were one batch, given the scores of its examples."""
    right = split.labels[:, None]
    lengths = np.take_along_axis(split.option_lengths, right, axis=1)
    return float(-(np.take_along_axis(scores, right, axis=1) * lengths).sum() / lengths.sum())


def _log_likelihoods(model: Any, batch: Batch) -> jax.Array:
    """Of the last M tokens of every sequence, shape (B, C, M).

    Only features that predict one of them meet the vocabulary, so the logits take
    (B·C, M, vocabulary) numbers instead of (B·C, L, vocabulary).
    """
    shape = batch["option_mask"].shape
    width = shape[-1]
    input_ids = batch["input_ids"].reshape(-1, batch["input_ids"].shape[-1])
    attention_mask = batch["attention_mask"].reshape(input_ids.shape)
    features = model.features(input_ids, attention_mask)[:, -width - 1 : -1]
    return -optax.softmax_cross_entropy_with_integer_labels(
        model.attend(features), input_ids[:, -width:]
    ).reshape(shape)


def _cross_entropy(scores, labels):
    return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()
