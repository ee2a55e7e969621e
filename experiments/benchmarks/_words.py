"""Random words, counted where they are drawn and when."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

import zojax
from zojax.recipes import Directions


class Tally:
    """Counts the words of dense recipes that a running program draws and uses.

    The program calls back with each draw. The callback is pure, and what is drawn goes through it:
    a compiler keeps, drops or skips both together.

    Attributes:
      words: random words so far, 32 bits each.
    """

    def __init__(self):
        self.words = 0

    def counting(self, sampler: zojax.Sampler) -> zojax.Sampler:
        """The same sampler, watched."""

        @functools.cache
        def counted(law):
            def call(keys, calls, width, first=None):
                return self._passed(law.call(keys, calls, width, first))

            return law._replace(call=call)

        def watched(directions: Directions) -> Directions:
            return tuple(dataclasses.replace(rows, law=counted(rows.law)) for rows in directions)

        def draw(state, key, step, num_queries, params):
            directions, state = sampler.draw(state, key, step, num_queries, params)
            return watched(directions), state

        def recall(key, step, num_queries, params):
            return watched(sampler.recall(key, step, num_queries, params))

        return sampler._replace(draw=draw, recall=recall)

    def _passed(self, words: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        def add(_: np.ndarray) -> np.ndarray:
            self.words += sum(word.size for word in words)
            return np.ones((), np.bool_)

        drawn = jax.ShapeDtypeStruct((), jnp.bool_)
        first = words[0][(0,) * words[0].ndim]
        counted = jax.pure_callback(add, drawn, first, vmap_method="sequential")
        return tuple(jnp.where(counted, word, jnp.zeros_like(word)) for word in words)
