"""How a model scores options, and the loss that trains it.

    s_o = mean over the option tokens of log p(token | all before),        for every option o
    loss = -log softmax(s)[label], averaged over the batch

Prompt tokens never count (MeZO, arXiv:2305.17333, appendix E; classification tasks).
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax


def option_scores(model: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Returns s, the mean log-likelihoods of the options, shape (B, C), float32.

    Only features that predict one of the last M tokens meet the vocabulary, so the logits take
    (B·C, M, vocabulary) numbers instead of (B·C, L, vocabulary).

    Args:
      model: has `features(input_ids, attention_mask)` and `attend(features)`, as
        `zojax.models.OPT`.
      batch: the arrays that `Encoded.batch` makes.
    """
    shape = batch["option_mask"].shape
    width = shape[-1]
    input_ids = batch["input_ids"].reshape(-1, batch["input_ids"].shape[-1])
    attention_mask = batch["attention_mask"].reshape(input_ids.shape)
    features = model.features(input_ids, attention_mask)[:, -width - 1 : -1]
    log_likelihoods = -optax.softmax_cross_entropy_with_integer_labels(
        model.attend(features), input_ids[:, -width:]
    ).reshape(shape)
    mask = batch["option_mask"]
    return jnp.where(mask, log_likelihoods, 0.0).sum(-1) / mask.sum(-1)


def option_loss(model: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Returns the loss above, shape (), float32."""
    scores = option_scores(model, batch)
    return optax.softmax_cross_entropy_with_integer_labels(scores, batch["labels"]).mean()
