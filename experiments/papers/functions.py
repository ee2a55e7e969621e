"""Functions whose curvature is known, exact or with noise."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from experiments._ar1_toy import with_noise
from experiments._functions import FUNCTIONS
from experiments.papers.problem import Problem

SIDE, STEEP = 32, 100.0


def function(
    name: str, of: str, *, dim: int, budget: int, noise: float = 0.0, jump: float = 0.0
) -> Problem:
    """One of `experiments._functions`, from N(0, I).

    Args:
      name: of the problem.
      of: of the function.
      dim: entries of the vector.
      budget: evaluations of a run.
      noise: standard deviation of what is added to each evaluation.
      jump: standard deviation of what is added to all evaluations of one step alike, as another
        batch would.
    """
    exact = FUNCTIONS[of]

    def loss(params: jax.Array, data: jax.Array) -> jax.Array:
        value = exact(params) + jump * jax.random.normal(jax.random.fold_in(data, 1))
        return with_noise(value, noise, data) if noise else value

    return _of_function(name, exact, loss, (dim,), budget)


def one_steep_direction(name: str, budget: int) -> Problem:
    """½ ‖W‖² + ½ λ ‖uᵀ W‖² with W 32 by 32, λ = 100, ‖u‖ = 1: in each column u is steep.

    What LOREN can learn exactly: one direction of the inputs, the same for all outputs.
    """
    direction = jax.random.normal(jax.random.key(7), (SIDE,))
    direction = direction / jnp.linalg.norm(direction)

    def exact(weights: jax.Array) -> jax.Array:
        steep = jnp.square(direction @ weights)
        return 0.5 * jnp.sum(jnp.square(weights)) + 0.5 * STEEP * jnp.sum(steep)

    return _of_function(name, exact, lambda params, data: exact(params), (SIDE, SIDE), budget)


def _of_function(
    name: str, exact: Callable, loss: Callable, shape: tuple[int, ...], budget: int
) -> Problem:
    def scores(params: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        value = exact(params)
        return value, value, jnp.array(jnp.nan)

    return Problem(
        name, lambda key: jax.random.normal(key, shape), lambda key: key, loss, scores, budget
    )
