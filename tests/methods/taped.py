"""Runs of a method beside which what its sampler draws is recorded, for loops of papers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

RNG = np.random.default_rng(5)
FEATURES = RNG.normal(size=(8, 4))
LABELS = RNG.choice([-1.0, 1.0], size=(8, 3))
START = {
    "b": RNG.normal(size=3),
    "hidden": RNG.normal(size=(4, 5)),
    "out": RNG.normal(size=(5, 3)),
}
MATRICES = ("hidden", "out")


def network(x: dict[str, Any], numbers: Any = jnp) -> Any:
    """A loss of jax, or of numpy."""
    logits = numbers.tanh(FEATURES @ x["hidden"]) @ x["out"] + x["b"]
    return numbers.mean(numbers.log1p(numbers.exp(-LABELS * logits)))


class Run(NamedTuple):
    """What came out; arrays of numpy.

    Attributes:
      x: params in the end.
      visited: params after each step, (steps, ...).
      state: of the method in the end.
      coefficients: of every step, (steps, K).
      tape: what `look` returned, for every step.
    """

    x: dict[str, np.ndarray]
    visited: dict[str, np.ndarray]
    state: Any
    coefficients: np.ndarray
    tape: list[Any]


def run(
    tx: optax.GradientTransformationExtraArgs,
    sampler: Any,
    key: jax.Array,
    look: Callable[[Any, Any, jax.Array], Any],
    *,
    num_queries: int = 1,
    steps: int = 8,
    loss: Callable[[Any], jax.Array] = network,
    start: dict[str, Any] = START,
) -> Run:
    """Runs steps of a method, in double precision, whose directions are those of `sampler`.

    `look(directions, kept, step)` is called with the directions of each step, and the sampler's
    state after the draw.
    """

    @jax.jit
    def scanned(x):
        def step(carry, index):
            x, state, kept = carry
            directions, kept = sampler.draw(kept, key, index, num_queries, x)
            updates, state = tx.update(None, state, x, value_fn=loss)
            x = optax.apply_updates(x, updates)
            coefficients = optax.tree.get(state, "coefficients")
            return (x, state, kept), (x, coefficients, look(directions, kept, index))

        start = (x, tx.init(x), sampler.init(x))
        (_, state, _), (visited, coefficients, tape) = jax.lax.scan(step, start, jnp.arange(steps))
        return state, visited, coefficients, tape

    with jax.enable_x64(True):
        state, *arrays = scanned(jax.tree.map(jnp.asarray, start))
        visited, coefficients, tape = jax.tree.map(np.asarray, arrays)
    each = [jax.tree.map(lambda array, t=t: array[t], tape) for t in range(steps)]
    return Run(jax.tree.map(lambda array: array[-1], visited), visited, state, coefficients, each)


def dense(directions: Any, x: dict[str, Any] = START) -> dict[str, jax.Array]:
    """K directions as arrays like params, (K, ...)."""
    names, shapes = list(x), [np.shape(leaf) for leaf in x.values()]
    return {
        name: jax.vmap(lambda recipe, shape=shape: recipe.draw(shape))(recipe)
        for name, shape, recipe in zip(names, shapes, directions, strict=True)
    }


def queries(noise: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """{name: (K, ...)} as a list of K dicts, float64."""
    count = len(next(iter(noise.values())))
    return [{name: np.float64(noise[name][k]) for name in noise} for k in range(count)]


def assert_close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """To 1e-6 of the largest entry: the numbers of directions are float32, and so are factors."""
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-6 * np.abs(value).max())
