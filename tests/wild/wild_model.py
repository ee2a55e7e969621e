"""A model that somebody else wrote, as a loss of its params."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Size(NamedTuple):
    """Of a model and of a batch."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    batch: int
    length: int

    def tokens(self) -> jax.Array:
        """A batch of token ids, (batch, length)."""
        shape = self.batch, self.length
        return jax.random.randint(jax.random.key(1), shape, 0, self.vocabulary)


# Small enough to train for some steps; and what memory is measured at, with a batch as large as in
# experiments.benchmarks.
TINY = Size(layers=1, width=32, heads=4, vocabulary=64, batch=2, length=6)
PROVING = Size(layers=4, width=256, heads=8, vocabulary=512, batch=8, length=64)


class Model(NamedTuple):
    """What there is to train, and its loss.

    Attributes:
      params: arrays.
      loss: `loss(params, batch, held) -> ()`.
      batch: arrays with an axis of examples in front.
      held: what the loss needs besides, such as the state of a norm over batches.
    """

    params: Any
    loss: Callable[[Any, Any, Any], jax.Array]
    batch: Any
    held: Any = ()


def next_token_loss(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Mean cross entropy of each token given those before it, from (batch, length, vocabulary)."""
    of_each = jax.nn.log_softmax(logits[:, :-1])
    return -jnp.take_along_axis(of_each, tokens[:, 1:, None], -1).mean()
