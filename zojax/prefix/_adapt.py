"""From a model to one with a prefix that starts as the keys and values of real tokens."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax import _checks
from zojax._typing import Key
from zojax.noise import _keys
from zojax.prefix import _module


def adapt(
    model: nnx.Module,
    *,
    length: int = 5,
    key: Key | None = None,
    tokens: Sequence[int] | None = None,
    dtype: DTypeLike = jnp.float32,
) -> nnx.Module:
    """Returns the model with a prefix.

    A decoder with a new prefix computes what the model computes behind the tokens that the prefix
    started from. The model that is given stays as it is; the two share the arrays of the weights.

    Args:
      model: a model of `zojax.models` without a prefix.
      length: of the prefix, at least 1; MeZO's runs have 5.
      key: a typed key that draws the tokens to start from, uniformly from the vocabulary. For an
        image model it draws an image of standard normal pixels, whose first patches are taken.
      tokens: the token ids to start from, in the place of `length` and `key`.
      dtype: of the prefix.

    Raises:
      TypeError: if the key is no typed key, or the model cannot take a prefix.
      ValueError: if neither key nor tokens are given, the model has a prefix, or the prefix leaves
        no position for a sequence.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax import prefix
      >>> from zojax.models import OPT, OPTConfig
      >>> config = OPTConfig(vocab_size=32, hidden_size=8, num_hidden_layers=2,
      ...                    num_attention_heads=2, ffn_dim=16, max_position_embeddings=16)
      >>> model = OPT(config, rngs=nnx.Rngs(0))
      >>> behind = prefix.adapt(model, tokens=[4, 5])
      >>> text = jnp.array([[6, 7, 8]])
      >>> expected = model(jnp.array([[4, 5, 6, 7, 8]]))[:, 2:]
      >>> bool(jnp.allclose(behind(text), expected, atol=1e-5))
      True
    """
    _module.check_plain(model)
    inputs = _inputs(model, length, key, tokens)
    graphdef, state = nnx.split(model)
    memory = jax.jit(lambda state: nnx.merge(graphdef, state).keys_and_values(inputs))(state)
    length = length if tokens is None else len(tokens)
    first = partial(jax.lax.slice_in_dim, start_index=0, limit_index=length, axis=1)
    return _module.with_prefix(model, *(first(array[:, 0]).astype(dtype) for array in memory))


def _inputs(model, length, key, tokens) -> jax.Array:
    config = model.config
    if tokens is not None and hasattr(config, "vocab_size"):
        ids = jnp.asarray(tokens, jnp.int32)
        if (
            ids.ndim != 1
            or ids.size == 0
            or not 0 <= int(ids.min()) <= int(ids.max()) < (config.vocab_size)
        ):
            raise ValueError(
                f"tokens must be a list of ids from 0 to {config.vocab_size - 1}, got {tokens!r}"
            )
        length = ids.size
    _checks.at_least(1, length=length)
    if key is None and tokens is None:
        raise ValueError("a prefix starts from real tokens: give key to draw them, or tokens")
    if hasattr(config, "vocab_size"):
        if length >= config.max_position_embeddings:
            raise ValueError(
                f"length {length} leaves no position for a sequence: the model has "
                f"{config.max_position_embeddings}"
            )
        if tokens is not None:
            return ids[None]
        _keys.check(key)
        return jax.random.randint(key, (1, length), 0, config.vocab_size)
    _keys.check(key)
    return jax.random.normal(key, (1, config.num_channels, *config.image_shape))
