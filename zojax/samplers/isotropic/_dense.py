"""Dense samplers: every leaf is drawn from one law, row by row, E[z zᵀ] = I."""

import jax

from zojax import _checks
from zojax._typing import Key, Params
from zojax.noise import RADEMACHER, Law, Role, _keys, gaussian_law
from zojax.recipes import Directions, dense_recipes
from zojax.samplers._sampler import Sampler, memoryless, ones


def gaussian(*, bits: int = 8) -> Sampler:
    """Z ~ N(0, I). E[z zᵀ] = I (c = 1).

    Stores nothing. The generator is what a number costs most for, and a call of it gives 64 random
    bits: with 8 of them a number it takes an eighth of a call. The law is then one of 256 equally
    likely levels, exactly symmetric, with E z² = 1, E z⁴ = 2.949 (3 for a normal number) and
    |z| ≤ 2.88; with 16 bits, of 65,536 levels, E z⁴ = 2.9992 and |z| ≤ 4.33; with 32, |z| ≤ 5.5.
    An estimate is made of sums over many entries, in which levels get lost: E ‖<∇L, z> z‖² is
    (d - 1 + E z⁴) ‖∇L‖² with d entries.

    With JAX's default generator numbers are made where they are used; other generators work too,
    and take longer.

    Args:
      bits: random bits of a number: 8, 16 or 32.

    Raises:
      ValueError: for another number of bits.

    Source: Malladi et al., "Fine-Tuning Language Models with Just Forward Passes",
    arXiv:2305.17333, Definition 1.
    """
    _checks.one_of((8, 16, 32), bits=bits)
    return _of_law(gaussian_law(bits))


def rademacher() -> Sampler:
    """Z uniform on {-1, 1}^d, 64 signs from a call of the generator. E[z zᵀ] = I (c = 1).

    The cheapest dense law. Stores nothing.

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
