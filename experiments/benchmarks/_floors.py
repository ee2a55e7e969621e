"""What a method of low-rank directions must cost beside its forwards, in the smallest programs.

    products   (x U) P beside x W, for every matrix and the tokens of every perturbed loss; or
               W + U P for every matrix and direction, if that is faster; both of a pair are written
    msign      Newton-Schulz on one core for every matrix
    span       Xᵀ (X A) for every matrix, of the inputs X of one loss
    lift       W + U P for every matrix, in place; or W + (U P) / √((U∘U) (P∘P)), for a rule like
               Adam's in the coordinates of the directions

Each is plain JAX on the matrices of one layer, counted `layers` times: nothing is drawn, and there
is nothing between the products.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import zojax
from experiments.benchmarks._forms import Size
from experiments.benchmarks._steps import compiled, running
from zojax.training import median_seconds


@dataclasses.dataclass(frozen=True)
class Subspace:
    """What a method does in a step.

    Attributes:
      rank: of its directions.
      directions: how many.
      perturbed: losses at perturbed weights.
      orthogonalized: whether the cores' mean is.
      iterations: of power iteration, by which the inputs' span is found.
      adaptive: whether entries of the step are divided by roots of factored second moments.
      lifted: rank of the step, if another.
    """

    rank: int
    directions: int
    perturbed: int
    orthogonalized: bool = False
    iterations: int = 0
    adaptive: bool = False
    lifted: int | None = None

    def least(self, size: Size, plain: float) -> float:
        """The least step / plain: 1 + (products + msign + span + lift) / plain.

        Args:
          size: of the model and the batch.
          plain: seconds of as many plain forwards as the step evaluates losses.
        """
        weights = [jnp.zeros(shape) for shape in _shapes(size.width)]
        left, right = _factors(weights, self.rank)
        points = self.perturbed // self.directions
        perturbing = self.directions * _perturb(weights, left, right, points)
        seconds = min(self._products(size, left, right), perturbing)
        seconds += self._lift(weights)
        if self.iterations:
            seconds += self.iterations * _span(size, left)
        if self.orthogonalized:
            tx = zojax.orthogonalize()
            seconds += _seconds(lambda cores: tx.update(cores, tx.init(cores))[0], left)
        return 1 + size.layers * seconds / plain

    def _products(self, size: Size, left: list, right: list) -> float:
        """Seconds of the products with U and P for the tokens of all perturbed losses.

        They are read once, in place of being added to those with W.
        """
        tokens = self.perturbed * size.batch * size.length
        inputs = [jnp.ones((tokens, u.shape[0])) for u in left]

        def products(inputs: list, left: list, right: list) -> list:
            return jax.tree.map(lambda x, u, p: jnp.sum((x @ u) @ p), inputs, left, right)

        return _seconds(products, inputs, left, right)

    def _lift(self, weights: list) -> float:
        left, right = _factors(weights, self.lifted or self.rank)

        def lifted(w: jax.Array, u: jax.Array, p: jax.Array) -> jax.Array:
            step = u @ p
            return w + (step / jnp.sqrt(u**2 @ p**2 + 1e-8) if self.adaptive else step)

        def add(weights: list, factors: tuple[list, list]) -> tuple[list]:
            return (jax.tree.map(lifted, weights, *factors),)

        program, _ = compiled(add, weights, (left, right), donate=(0,))
        run = running(program, weights, batch=(left, right))
        return median_seconds({"lift": run})["lift"]


def _shapes(width: int) -> list[tuple[int, int]]:
    """Of a layer's matrices."""
    return [(width, width)] * 4 + [(width, 4 * width), (4 * width, width)]


def _factors(weights: list, rank: int) -> tuple[list, list]:
    left = [jnp.ones((w.shape[0], rank)) for w in weights]
    return left, [jnp.ones((rank, w.shape[1])) for w in weights]


def _perturb(weights: list, left: list, right: list, points: int) -> float:
    def perturb(weights: list, left: list, right: list) -> list:
        signs = [1, -1][:points]
        return [
            [w + sign * step for sign in signs]
            for w, step in zip(weights, jax.tree.map(jnp.matmul, left, right), strict=True)
        ]

    return _seconds(perturb, weights, left, right)


def _span(size: Size, left: list) -> float:
    """Seconds of one round of power iteration, of the tokens of one loss."""
    inputs = [jnp.ones((size.batch * size.length, u.shape[0])) for u in left]

    def iterate(inputs: list, left: list) -> list:
        return jax.tree.map(lambda x, a: x.T @ (x @ a), inputs, left)

    return _seconds(iterate, inputs, left)


def _seconds(fn: Callable, *args: Any) -> float:
    program, _ = compiled(fn, *args)
    return median_seconds({"it": lambda: program(*args)})["it"]
