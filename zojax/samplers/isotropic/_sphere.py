"""Directions on the sphere: gaussian ones divided by their norm."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from zojax import _checks, _thresholds
from zojax._axis_blocks import AxisBlocks
from zojax._typing import Key, Params
from zojax.noise import gaussian_law
from zojax.recipes import Dense, Directions, Precomputed, draw_small_leaves
from zojax.samplers._sampler import Sampler, memoryless, ones
from zojax.samplers.isotropic._dense import draw_direction


def sphere(*, bits: int = 8) -> Sampler:
    """Z uniform on the sphere of radius √d, d = number of entries of params. E[z zᵀ] = I (c = 1).

    A gaussian direction divided by its norm, which takes one more regeneration of it; stores that
    number. It is as near to uniform as its numbers are to normal ones (see `gaussian`): in two
    dimensions, 8 bits make 65,536 directions.

    Args:
      bits: random bits of a number: 8, 16 or 32.

    Raises:
      ValueError: for another number of bits.
    """
    _checks.one_of((8, 16, 32), bits=bits)
    law = gaussian_law(bits)

    def draw(key: Key, params: Params) -> Directions:
        direction = draw_direction(law, key, params)
        shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
        total = jnp.float32(0)
        for recipe, shape in zip(draw_small_leaves(direction, shapes), shapes, strict=True):
            total += _square_norm(recipe, shape, total)
        size = sum(math.prod(shape) for shape in shapes)
        scale = math.sqrt(size) * jax.lax.rsqrt(total)
        return tuple(dataclasses.replace(rows, scale=scale) for rows in direction)

    return memoryless(draw, ones, in_turn=True)


def _square_norm(
    recipe: Dense | Precomputed, shape: tuple[int, ...], datum: jax.Array
) -> jax.Array:
    """‖z‖² of a leaf, its noise drawn block by block when `datum` is known."""
    if (
        len(shape) < 2
        or math.prod(shape) <= _thresholds.NORM_BLOCK
        or isinstance(recipe, Precomputed)
    ):
        return jnp.sum(jnp.square(recipe.draw(shape, datum)))
    blocks = AxisBlocks.of_count(shape[0], math.ceil(math.prod(shape) / _thresholds.NORM_BLOCK))
    length = blocks.rounded_to(recipe.grains[0]).length

    def block(first: jax.Array | int, length: int, datum: jax.Array, divisor: int = 1) -> jax.Array:
        z = recipe.slice(0, first, length, divisor=divisor).draw((length, *shape[1:]), datum)
        return jnp.sum(jnp.square(z))

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        return total + block(i * length, length, total, divisor=length)

    whole, rest = divmod(shape[0], length)
    total = jax.lax.fori_loop(0, whole, add, 0.0 * datum)
    return total + block(whole * length, rest, total) if rest else total
