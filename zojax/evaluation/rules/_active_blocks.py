"""What meets a leaf of which another block may be the active one: then nothing is drawn."""

from collections.abc import Callable

import jax

from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._sequence import own_sequence


def contract_if_active(
    perturbed: Callable[[jax.Array, Perturbed], jax.Array],
    x: jax.Array,
    leaf: Perturbed,
    plain: Callable[[jax.Array, jax.Array], jax.Array],
) -> jax.Array:
    """`perturbed(x, leaf)` where its block is active, and else `plain(x, base)`.

    Args:
      perturbed: gets the leaf with the recipe of its block.
      x: what the leaf meets.
      leaf: whose recipe is a whole block.
      plain: gets the base, cast as the loss asked.
    """
    inside = leaf.replaced(leaf.base, leaf.recipe.recipe)

    def active() -> jax.Array:
        # A branch holds all that it reads, so it does not read the result before.
        with own_sequence():
            return perturbed(x, inside)

    return jax.lax.cond(leaf.recipe.active, active, lambda: plain(x, leaf.cast(leaf.base)))
