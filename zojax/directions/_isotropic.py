"""Isotropic samplers: every leaf is drawn from one law, row by row, E[z zᵀ] = I."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from zojax import _keys
from zojax._keys import Role
from zojax._typing import Key, Params
from zojax.directions._dense import dense_recipes, drawn_together
from zojax.directions._drawn import Drawn
from zojax.directions._laws import GAUSSIAN, RADEMACHER, Law
from zojax.directions._rows import Rows
from zojax.directions._sampler import Directions, Sampler, memoryless, ones

# Entries of noise that are drawn at a time for their norm.
_AT_ONCE = 1 << 20


def gaussian() -> Sampler:
    """Z ~ N(0, I). E[z zᵀ] = I (c = 1).

    Stores nothing. With JAX's default generator a number takes 20 rounds of integer arithmetic and
    a few polynomials, made where it is used; other generators work too, and take longer.

    Source: Malladi et al., "Fine-Tuning Language Models with Just Forward Passes",
    arXiv:2305.17333, Definition 1.
    """
    return _of_law(GAUSSIAN)


def rademacher() -> Sampler:
    """Z uniform on {-1, 1}^d, 32 signs from a random word. E[z zᵀ] = I (c = 1).

    The cheapest dense law: a thirty-second of the random words of the others. Stores nothing.

    Source: Spall, "Multivariate stochastic approximation using a simultaneous perturbation gradient
    approximation", IEEE TAC 37(3), 1992.
    """
    return _of_law(RADEMACHER)


def sphere() -> Sampler:
    """Z uniform on the sphere of radius √d, d = number of entries of params. E[z zᵀ] = I (c = 1).

    A gaussian direction divided by its norm, which takes one more regeneration of it; stores that
    number.
    """

    def draw(key: Key, params: Params) -> Directions:
        direction = _draw(GAUSSIAN, key, params)
        shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
        total = jnp.float32(0)
        for recipe, shape in zip(drawn_together(direction, shapes), shapes, strict=True):
            total += _square_norm(recipe, shape, total)
        size = sum(math.prod(shape) for shape in shapes)
        scale = math.sqrt(size) * jax.lax.rsqrt(total)
        return tuple(dataclasses.replace(rows, scale=scale) for rows in direction)

    return memoryless(draw, ones, in_turn=True)


def _square_norm(recipe: Rows | Drawn, shape: tuple[int, ...], datum: jax.Array) -> jax.Array:
    """‖z‖² of a leaf, its noise drawn block by block when `datum` is known."""
    if len(shape) < 2 or math.prod(shape) <= _AT_ONCE or isinstance(recipe, Drawn):
        return jnp.sum(jnp.square(recipe.draw(shape, datum)))
    length = max(1, _AT_ONCE * shape[0] // math.prod(shape))

    def block(first: jax.Array | int, length: int, datum: jax.Array) -> jax.Array:
        z = recipe.slice(0, first, length).draw((length, *shape[1:]), datum)
        return jnp.sum(jnp.square(z))

    whole, rest = divmod(shape[0], length)
    total = jax.lax.fori_loop(
        0, whole, lambda i, total: total + block(i * length, length, total), 0.0 * datum
    )
    return total + block(whole * length, rest, total) if rest else total


def _of_law(law: Law) -> Sampler:
    return memoryless(lambda key, params: _draw(law, key, params), ones)


def _draw(law: Law, key: Key, params: Params) -> Directions:
    leaves = jax.tree.leaves(params)
    keys = _keys.leaf_keys(key, params, Role.DIRECTION)
    return dense_recipes(law, keys, [leaf.shape for leaf in leaves])
