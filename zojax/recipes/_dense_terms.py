"""The terms c z of dense leaves for one query, of which an update is made."""

from collections.abc import Container, Sequence

import jax

from zojax import _thresholds
from zojax._dtypes import wide
from zojax._schedule import true_after
from zojax.recipes._dense import Dense
from zojax.recipes._equal_shapes import draw_equal_shapes
from zojax.recipes._recipe import Directions, query


def dense_terms(
    coefficients: jax.Array,
    directions: Directions,
    leaves: Sequence[jax.Array],
    *,
    without: Container[int],
) -> dict[int, jax.Array]:
    """Returns c z of every dense leaf, by place, in its dtype; each fuses with what is done to it.

    What is random in z is drawn leaf by leaf, one after another, and kept until it is read. On a
    CPU that is at once. Compilers of accelerators make one loop of the updates of several leaves,
    and what they read exists at once: so there few words are kept, and the others drawn for every
    entry as it is written.

    Args:
      coefficients: shape (1,).
      directions: one direction.
      leaves: give shapes and dtypes.
      without: places that are left out.
    """
    rows = {
        place: query(recipe, 0)
        for place, recipe in enumerate(directions)
        if isinstance(recipe, Dense) and place not in without
    }
    kept = {place: _kept_bits(recipe, leaves[place]) for place, recipe in rows.items()}
    budget = 8 * _thresholds.HELD_SHARE * sum(leaf.size for leaf in leaves)

    def term(z: jax.Array, leaf: jax.Array) -> jax.Array:
        return (coefficients[0].astype(wide(leaf.dtype)) * z).astype(leaf.dtype)

    def keeping(before: jax.Array) -> list[jax.Array]:
        drawn, before = draw_equal_shapes(rows, [leaf.shape for leaf in leaves], before)
        for place, recipe in rows.items():
            if place not in drawn:
                drawn[place], before = _draw(recipe, leaves[place], before, keeps=kept[place] > 0)
        return [term(drawn[place], leaves[place]) for place in rows]

    def sparing(before: jax.Array) -> list[jax.Array]:
        rest, terms = budget, []
        for place, recipe in rows.items():
            keeps = 0 < kept[place] <= rest
            rest -= kept[place] if keeps else 0
            z, before = _draw(recipe, leaves[place], before, keeps=keeps)
            terms.append(term(z, leaves[place]))
        return terms

    if sum(kept.values()) <= budget or not isinstance(coefficients, jax.core.Tracer):
        terms = keeping(coefficients)
    else:
        terms = jax.lax.platform_dependent(coefficients, cpu=keeping, default=sparing)
    return dict(zip(rows, terms, strict=True))


def _kept_bits(recipe: Dense, leaf: jax.Array) -> int:
    """Of what is random in z, if it is kept; 0 for what is drawn for every entry."""
    bits = recipe.held_bits(leaf.shape)
    return bits * leaf.size if bits <= _thresholds.HELD_BITS else 0


def _draw(
    recipe: Dense, leaf: jax.Array, before: jax.Array, *, keeps: bool
) -> tuple[jax.Array, jax.Array]:
    """Z of a leaf, and what the next one waits for."""
    if not keeps:
        return recipe.draw(leaf.shape), true_after(before)
    words = recipe.numbers_after(leaf.shape, before)
    return recipe.read(words, leaf.shape), true_after(words[0])
