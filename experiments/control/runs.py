"""Runs of a method on a problem: learning rates and seeds side by side in one compiled program."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import zojax
from experiments.control.problem import Problem


class Method(NamedTuple):
    """A method of the comparison.

    Attributes:
      make: `(rate, key, radius) -> transformation`.
      evaluations: of the loss, a step.
    """

    make: Callable[[jax.Array, jax.Array, float], optax.GradientTransformation]
    evaluations: int


def _mezo(rate: jax.Array, key: jax.Array, radius: float) -> optax.GradientTransformation:
    return zojax.mezo(rate, key, radius=radius)


def _r_adazo(rate: jax.Array, key: jax.Array, radius: float) -> optax.GradientTransformation:
    return zojax.r_adazo(rate, key, radius=radius, num_queries=9, chunk_size=9)


def _eggroll(rate: jax.Array, key: jax.Array, radius: float) -> optax.GradientTransformation:
    return zojax.eggroll(rate, key, radius=radius, num_queries=10, chunk_size=10)


METHODS = {
    "mezo": Method(_mezo, 2),
    "r_adazo": Method(_r_adazo, 10),
    "eggroll": Method(_eggroll, 20),
}


class Runs(NamedTuple):
    """What came of every rate and seed.

    Attributes:
      scores: (rates, seeds), of the params at the end.
      before: (seeds,), of those at the start.
      curve: (rates, seeds, looks), on the way.
    """

    scores: np.ndarray
    before: np.ndarray
    curve: np.ndarray


def make_runs(
    method: Method, problem: Problem, *, budget: int, looks: int
) -> Callable[[Sequence[float], Sequence[int]], Runs]:
    """A function (rates, seeds) → runs, all at `budget` evaluations; jitted."""
    steps = budget // method.evaluations // looks

    def one(rate: jax.Array, seed: jax.Array) -> tuple[jax.Array, jax.Array]:
        key, of_start, of_losses = jax.random.split(jax.random.key(seed), 3)
        params = problem.start(of_start)
        tx = method.make(rate, key, problem.radius)

        def step(carry, key):
            params, state = carry
            updates, state = tx.update(None, state, params, value_fn=problem.loss, key=key)
            return (optax.apply_updates(params, updates), state), None

        def stretch(carry, keys):
            carry = jax.lax.scan(step, carry, keys)[0]
            return carry, problem.score(carry[0])

        keys = jax.random.split(of_losses, (looks, steps))
        curve = jax.lax.scan(stretch, (params, tx.init(params)), keys)[1]
        return problem.score(params), curve

    together = jax.jit(jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None)))

    def runs(rates: Sequence[float], seeds: Sequence[int]) -> Runs:
        before, curve = together(jnp.asarray(rates, jnp.float32), jnp.asarray(seeds))
        curve = np.asarray(curve)
        return Runs(curve[..., -1], np.asarray(before)[0], curve)

    return runs
