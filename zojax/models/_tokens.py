"""Checks of token ids and masks, and the places of tokens in their sequences."""

import jax
import jax.numpy as jnp


def checked_mask(input_ids: jax.Array, attention_mask: jax.Array | None, longest: int) -> jax.Array:
    """The mask as int32, all ones for None, after every check that shapes and dtypes allow.

    Raises:
      ValueError: if a shape or dtype is wrong, or the sequences are longer than `longest`, which is
        named `max_position_embeddings`.
    """
    if input_ids.ndim != 2 or not jnp.issubdtype(input_ids.dtype, jnp.integer):
        raise ValueError(
            "input_ids must be integers of shape (batch, length), "
            f"not {input_ids.dtype}{list(input_ids.shape)}."
        )
    if input_ids.shape[1] > longest:
        raise ValueError(
            f"input_ids has length {input_ids.shape[1]}, beyond max_position_embeddings = "
            f"{longest}; truncate the sequences."
        )
    if attention_mask is None:
        return jnp.ones(input_ids.shape, jnp.int32)
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has shape {attention_mask.shape}, input_ids {input_ids.shape}; "
            "they must be equal."
        )
    return attention_mask.astype(jnp.int32)


def positions(mask: jax.Array) -> jax.Array:
    """How many tokens come before each token, so that padding on either side changes nothing.

    Args:
      mask: int32, (batch, length), 1 for a token and 0 for padding.

    Returns:
      int32, (batch, length); -1 at padding.
    """
    return mask * jnp.cumsum(mask, axis=1) - 1


def at_last(features: jax.Array, attention_mask: jax.Array | None) -> jax.Array:
    """The features of the last token of each row, (batch, width), from (batch, length, width).

    Args:
      features: of all positions.
      attention_mask: (batch, length); None for no padding. A row without tokens gives its first.
    """
    if attention_mask is None:
        return features[:, -1]
    places = jnp.arange(features.shape[1])
    last = jnp.max(attention_mask.astype(jnp.int32) * places, axis=1)
    return jnp.take_along_axis(features, last[:, None, None], axis=1)[:, 0]


def mean(features: jax.Array, attention_mask: jax.Array) -> jax.Array:
    """The mean of the features of the tokens of each row, (batch, width), in their dtype.

    Args:
      features: (batch, length, width).
      attention_mask: (batch, length). A row without tokens gives 0.
    """
    mask = attention_mask.astype(jnp.float32)[..., None]
    count = jnp.maximum(jnp.sum(mask, axis=1), 1)
    return (jnp.sum(features.astype(jnp.float32) * mask, axis=1) / count).astype(features.dtype)
