"""What a step must cost beside its forward passes, measured in the smallest programs that do it.

    pair     what a law adds where a weight meets data: both points are made and read
    update   the noise once more, added to the weights in place

Both are measured for each entry of a stack of matrices like the decoder's widest, without the model
around it. Activations and the products with factors are not in it.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import zojax
from experiments.benchmarks._forms import Size
from experiments.benchmarks._steps import LAWS, RADIUS, compiled, running
from zojax.training import median_seconds


class Bounds:
    """The least ratios; each law is measured once.

    Args:
      size: of the model.
    """

    def __init__(self, size: Size):
        self._weights = jnp.zeros((size.layers, 4 * size.width, size.width))
        self._seconds = functools.cache(self._measured)

    def least(
        self, law: str, params: Any, plain: float, *, pairs: int = 1, updates: int = 1
    ) -> float:
        """The least step / plain forwards: 1 + (pairs and updates) / plain.

        Args:
          law: a name of `LAWS`.
          params: of the model.
          plain: seconds of as many forwards as the step evaluates losses.
          pairs: how often all noise is drawn for losses, single ones or pairs.
          updates: how often it is drawn for the update.
        """
        return 1 + self.seconds(law, params, pairs=pairs, updates=updates) / plain

    def seconds(self, law: str, params: Any, *, pairs: int = 1, updates: int = 1) -> float:
        """Of pairs and updates together, for all entries."""
        pair, update = self._seconds(law)
        entries = sum(leaf.size for leaf in jax.tree.leaves(params))
        return (pairs * pair + updates * update) * entries

    def _measured(self, law: str) -> tuple[float, float]:
        """Seconds of a pair and of an update for each entry."""
        weights = self._weights
        if isinstance(_directions(law, weights)[0], zojax.LowRank):
            # Their noise is next to nothing; what is left is to read and write the weights once.
            return 0.0, _in_place(lambda weights, c: weights + c[0], weights) / weights.size
        return _pair(law, weights) / weights.size, _update(law, weights) / weights.size


def _pair(law: str, weights: jax.Array) -> float:
    """Seconds that a product with both points takes longer than two with the weights."""
    tokens = jnp.ones((8, weights.shape[1]))

    def loss(weights: jax.Array, tokens: jax.Array) -> jax.Array:
        def layer(x: jax.Array, w: jax.Array) -> tuple[jax.Array, None]:
            return x + jnp.tile(x @ w, (1, x.shape[1] // w.shape[1])), None

        return jax.lax.scan(layer, tokens, weights)[0].mean()

    def pair(weights: jax.Array, tokens: jax.Array) -> jax.Array:
        directions = _directions(law, weights)
        radii = jnp.array([RADIUS, -RADIUS])
        return zojax.evaluate(lambda w: loss(w, tokens), weights, directions, radii)

    def plain(weights: jax.Array, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        return loss(weights, tokens), loss(weights, 2 * tokens)

    return _difference(pair, plain, weights, tokens)


def _update(law: str, weights: jax.Array) -> float:
    """Seconds of weights + c z."""

    def update(weights: jax.Array, c: jax.Array) -> jax.Array:
        return weights + zojax.combine(c, _directions(law, weights), weights)

    return _in_place(update, weights)


def _in_place(update: Callable, weights: jax.Array) -> float:
    """Seconds of an update of donated weights with one coefficient."""
    program, _ = compiled(update, weights, jnp.ones(1), donate=(0,))
    run = running(lambda held, batch: (program(held, batch),), weights, batch=jnp.ones(1))
    return median_seconds({"update": run})["update"]


def _directions(law: str, weights: jax.Array) -> Any:
    make, generator = LAWS[law]
    sampler, key = make(), jax.random.key(0, impl=generator)
    return sampler.draw(sampler.init(weights), key, jnp.int32(0), 1, weights)[0]


def _difference(longer: Callable, shorter: Callable, *args: jax.Array) -> float:
    programs = {name: compiled(fn, *args)[0] for name, fn in (("a", longer), ("b", shorter))}
    runs = {name: lambda run=program: run(*args) for name, program in programs.items()}
    times = median_seconds(runs)
    return max(times["a"] - times["b"], 0.0)
