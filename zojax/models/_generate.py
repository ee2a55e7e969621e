"""Text from a decoder, token by token, in one program.

    h_t = features(i_1 … i_t),   l = logits(h_t) / τ,   i_{t+1} = argmax l  or  ~ softmax(l')

l' keeps the `top_k` largest logits, then the fewest of the most likely tokens whose probabilities
reach `top_p`. What the layers remember lies in a cache of a fixed size, so that each new token
costs one token's work and the program has one shape; it ends as soon as all rows have ended.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._typing import Key
from zojax.models._cache import Cache
from zojax.models._decoder import Decoder
from zojax.noise import _keys


def generate(
    model: Decoder,
    input_ids: jax.Array,
    attention_mask: jax.Array | None = None,
    *,
    max_new_tokens: int,
    key: Key | None = None,
    temperature: ArrayLike = 1.0,
    top_k: int | None = None,
    top_p: ArrayLike | None = None,
    stop: int | Sequence[int] | None = None,
    pad_token_id: int | None = None,
) -> jax.Array:
    """Continues token sequences; a pure function of the model's params, to be jitted by the caller.

    Args:
      model: a decoder of `zojax.models` with a language model's head.
      input_ids: integers, (batch, length), padded on the left.
      attention_mask: 1 for a token, 0 for padding, (batch, length); None for no padding.
      max_new_tokens: tokens to generate, at least 1.
      key: a typed key to sample with; None for the most likely token each time.
      temperature: τ, above 0.
      top_k: how many tokens to sample from; None for all.
      top_p: probability that the tokens to sample from reach, above 0 and at most 1; None for all.
      stop: tokens that end a row, which keeps them; None for the config's `eos_token_id`.
      pad_token_id: what follows the end of a row; None for the config's, or 0 if that has none.

    Returns:
      The new tokens, (batch, max_new_tokens), int32.

    Raises:
      TypeError: if the model is no language model, or the key is no typed key.
      ValueError: if a number is out of range, there is padding on the right as far as can be seen,
        or the sequence would be longer than the model's positions.
    """
    _check(model, input_ids, attention_mask, max_new_tokens, key, top_k)
    _checks.positive(temperature=temperature)
    _check_probability(top_p)
    batch, length = input_ids.shape
    mask = jnp.ones((batch, length), jnp.int32) if attention_mask is None else attention_mask
    stops = _stops(model, stop)
    pad = model.config.pad_token_id if pad_token_id is None else pad_token_id
    pad = 0 if pad is None else pad

    def choose(features: jax.Array, step: jax.Array) -> jax.Array:
        logits = model.attend(features[:, -1])
        if key is None:
            return jnp.argmax(logits, -1).astype(jnp.int32)
        kept = _most_likely(_largest(logits / temperature, top_k), top_p)
        return jax.random.categorical(jax.random.fold_in(key, step), kept).astype(jnp.int32)

    def more(carry: tuple) -> jax.Array:
        step, _, ended, _, _ = carry
        return (step < max_new_tokens) & ~jnp.all(ended)

    def one(carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array, Cache]) -> tuple:
        step, token, ended, tokens, cache = carry
        features, cache = model.extend(token[:, None], jnp.ones((batch, 1), jnp.int32), cache)
        token = jnp.where(ended, pad, choose(features, step))
        tokens = jax.lax.dynamic_update_slice(tokens, token[:, None], (0, step))
        return step + 1, token, ended | jnp.isin(token, stops), tokens, cache

    cache = model.empty_cache(batch, length + max_new_tokens)
    features, cache = model.extend(input_ids, mask.astype(jnp.int32), cache)
    token = choose(features, jnp.zeros((), jnp.int32))
    tokens = jnp.full((batch, max_new_tokens), pad, jnp.int32).at[:, 0].set(token)
    first = (jnp.ones((), jnp.int32), token, jnp.isin(token, stops), tokens, cache)
    return jax.lax.while_loop(more, one, first)[3]


def _largest(logits: jax.Array, count: int | None) -> jax.Array:
    """Logits with -inf for all but the `count` largest of each row."""
    if count is None or count >= logits.shape[-1]:
        return logits
    least = jax.lax.top_k(logits, count)[0][..., -1:]
    return jnp.where(logits < least, -jnp.inf, logits)


def _most_likely(logits: jax.Array, probability: ArrayLike | None) -> jax.Array:
    """Logits with -inf for all but the fewest tokens whose probabilities reach `probability`."""
    if probability is None:
        return logits
    ordered = -jnp.sort(-logits, -1)
    chances = jax.nn.softmax(ordered, -1)
    needed = jnp.cumsum(chances, -1) - chances < probability
    least = jnp.min(jnp.where(needed, ordered, jnp.inf), -1, keepdims=True)
    return jnp.where(logits < least, -jnp.inf, logits)


def _check_probability(top_p: ArrayLike | None) -> None:
    if isinstance(top_p, (int, float)) and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be a number above 0 and at most 1, got {top_p!r}")


def _stops(model: Decoder, stop: int | Sequence[int] | None) -> jax.Array:
    stop = model.config.eos_token_id if stop is None else stop
    stop = () if stop is None else stop
    return jnp.atleast_1d(jnp.asarray(stop, jnp.int32))


def _check(model, input_ids, attention_mask, max_new_tokens, key, top_k):
    if not isinstance(model, Decoder) or model.head != "language_model":
        raise TypeError(
            f"{type(model).__name__} with head {getattr(model, 'head', None)!r} generates no text; "
            "load a decoder with its language model's head"
        )
    _checks.at_least(1, max_new_tokens=max_new_tokens)
    if key is not None:
        _keys.check(key)
    if top_k is not None:
        _checks.at_least(1, top_k=top_k)
    known = attention_mask is not None and not isinstance(attention_mask, jax.core.Tracer)
    if known and not attention_mask[:, -1].all():
        raise ValueError(
            "attention_mask ends in 0; sequences go on at their end, so pad on the left"
        )
    longest = model.config.longest - model._shift
    if input_ids.shape[1] + max_new_tokens > longest:
        raise ValueError(
            f"max_new_tokens {max_new_tokens} after {input_ids.shape[1]} tokens is beyond "
            f"max_position_embeddings = {longest}; shorten the prompt or ask for fewer"
        )
