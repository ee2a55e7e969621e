"""Signs of rows and columns beside a contraction: x · (U ∘ s tᵀ) = ((x ∘ s) · U) ∘ t."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation.rules._dot import Dot
from zojax.recipes import of_rank


class SignsBeside(NamedTuple):
    """What signs do to a product with the noise that they flip.

    Attributes:
      before: `x -> x ∘ s`, with those that go along axes which x has too.
      behind: `product -> product ∘ t`, with those that go along axes which it alone has.
    """

    before: Callable[[jax.Array], jax.Array]
    behind: Callable[[jax.Array], jax.Array]


def signs_beside(x: jax.Array, leaf: Perturbed, dot: Dot) -> SignsBeside | None:
    """The signs of a leaf on both sides of its contraction with x.

    None where some of them go along axes that are summed over and along others that x does not
    have: these stand between x and the noise.
    """
    of_x, of_leaf, out = dot.letters(x, leaf.ndim)
    signs = leaf.recipe.signs
    _, of_left, of_right = signs.subscripts(of_leaf)
    before, behind = [], []
    for factor, letters in ((signs.left, of_left), (signs.right, of_right)):
        axes = set(letters) - {"z"}
        if axes <= set(of_x):
            before.append(of_rank(factor, letters, 0, of_x))
        elif axes <= set(out):
            behind.append(of_rank(factor, letters, 0, out))
        else:
            return None
    return SignsBeside(_times(before), _times(behind))


def _times(factors: list[jax.Array]) -> Callable[[jax.Array], jax.Array]:
    def multiplied(array: jax.Array) -> jax.Array:
        for factor in factors:
            array = array * factor.astype(array.dtype)
        return array

    return multiplied
