"""Dense samplers: every leaf is drawn from one law, row by row, E[z zᵀ] = I."""

import jax

from zojax._typing import Key, Params
from zojax.noise import GAUSSIAN, RADEMACHER, Law, Role, _keys
from zojax.recipes import Directions, dense_recipes
from zojax.samplers._sampler import Sampler, memoryless, ones


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


def _of_law(law: Law) -> Sampler:
    return memoryless(lambda key, params: draw_direction(law, key, params), ones)


def draw_direction(law: Law, key: Key, params: Params) -> Directions:
    """One direction from a law, with a query's key."""
    leaves = jax.tree.leaves(params)
    keys = _keys.leaf_keys(key, params, Role.DIRECTION)
    return dense_recipes(law, keys, [leaf.shape for leaf in leaves])
