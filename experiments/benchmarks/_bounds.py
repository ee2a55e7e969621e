"""What a step must cost beside its forward passes, measured in the smallest programs that do it.

    pair     what a law adds where a weight meets data: both points are made and read
    update   the noise of one or of several directions, added to the weights in place

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
    """The least ratios; nothing is measured twice.

    Args:
      size: of the model.
    """

    def __init__(self, size: Size):
        weights = jnp.zeros((size.layers, 4 * size.width, size.width))
        self._entries = weights.size
        self._pair = functools.cache(lambda law: _pair(law, weights))
        self._update = functools.cache(lambda law, count: _update(law, weights, count))

    def least(
        self, law: str, params: Any, plain: float, *, pairs: int = 1, directions: int = 1
    ) -> float:
        """The least step / plain forwards: 1 + (pairs and update) / plain.

        Args:
          law: a name of `LAWS`.
          params: of the model.
          plain: seconds of as many forwards as the step evaluates losses.
          pairs: how often all noise is drawn for losses, single ones or pairs.
          directions: that the update is a sum of.
        """
        return 1 + self.seconds(law, params, pairs=pairs, directions=directions) / plain

    def seconds(self, law: str, params: Any, *, pairs: int = 1, directions: int = 1) -> float:
        """Of pairs and the update together, for all entries."""
        entries = sum(leaf.size for leaf in jax.tree.leaves(params))
        measured = pairs * self._pair(law) + self._update(law, directions)
        return measured * entries / self._entries


def _pair(law: str, weights: jax.Array) -> float:
    """Seconds that a product with both points takes longer than two with the weights."""
    if _is_factored(law, weights):
        return 0.0  # the noise of factors is next to nothing
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


def _update(law: str, weights: jax.Array, count: int) -> float:
    """Seconds of weights + Σ c_i z_i; of factors, of reading and writing the weights once."""

    def update(weights: jax.Array, c: jax.Array) -> jax.Array:
        if _is_factored(law, weights):
            return weights + c[0]
        return weights + zojax.combine(c, _directions(law, weights, count), weights)

    program, _ = compiled(update, weights, jnp.ones(count), donate=(0,))
    run = running(lambda held, batch: (program(held, batch),), weights, batch=jnp.ones(count))
    return median_seconds({"update": run})["update"]


def _is_factored(law: str, weights: jax.Array) -> bool:
    return isinstance(_directions(law, weights)[0], zojax.LowRank)


def _directions(law: str, weights: jax.Array, count: int = 1) -> Any:
    make, generator = LAWS[law]
    sampler, key = make(), jax.random.key(0, impl=generator)
    return sampler.draw(sampler.init(weights), key, jnp.int32(0), count, weights)[0]


def _difference(longer: Callable, shorter: Callable, *args: jax.Array) -> float:
    programs = {name: compiled(fn, *args)[0] for name, fn in (("a", longer), ("b", shorter))}
    runs = {name: lambda run=program: run(*args) for name, program in programs.items()}
    times = median_seconds(runs)
    return max(times["a"] - times["b"], 0.0)
