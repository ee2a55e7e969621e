"""Isotropic samplers: every leaf is drawn from one law, row by row, E[z zᵀ] = I."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from zojax import _keys
from zojax._keys import Role
from zojax._typing import Key, Params
from zojax.directions._dense import dense_recipes
from zojax.directions._laws import GAUSSIAN, RADEMACHER, Law
from zojax.directions._sampler import Directions, Sampler, memoryless, ones


def gaussian() -> Sampler:
    """Z ~ N(0, I). E[z zᵀ] = I (c = 1).

    Stores nothing. With a key of jax.random.key(seed, impl="threefry4x32") a draw fuses into its
    reader; the default threefry2x32 needs three times a leaf in temporaries while it draws it.

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
        leaves = jax.tree.leaves(params)
        squares = [
            jnp.sum(jnp.square(rows.draw(leaf.shape)))
            for rows, leaf in zip(direction, leaves, strict=True)
        ]
        size = sum(leaf.size for leaf in leaves)
        scale = math.sqrt(size) * jax.lax.rsqrt(sum(squares))
        return tuple(dataclasses.replace(rows, scale=scale) for rows in direction)

    return memoryless(draw, ones)


def _of_law(law: Law) -> Sampler:
    return memoryless(lambda key, params: _draw(law, key, params), ones)


def _draw(law: Law, key: Key, params: Params) -> Directions:
    leaves = jax.tree.leaves(params)
    keys = _keys.leaf_keys(key, params, Role.DIRECTION)
    return dense_recipes(law, keys, [leaf.shape for leaf in leaves])
