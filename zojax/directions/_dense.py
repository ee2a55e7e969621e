"""Recipes of dense leaves, with the short ones drawn together."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from zojax._hold import hold
from zojax._typing import Key
from zojax.directions._laws import Law
from zojax.directions._rows import Rows

# Biases and scales are shorter than this; a longer vector (params as one flat array) is drawn where
# it is needed, like a matrix.
_SHORT = 1 << 14


def dense_recipes(law: Law, keys: Key, shapes: Sequence[tuple[int, ...]]) -> tuple[Rows, ...]:
    """One recipe for each leaf, `keys` being theirs.

    Each draw in a program costs compile time, and an unrolled model has hundreds of short vectors:
    those of one length are drawn side by side, from the keys that their rows have anyway.
    """
    recipes = [Rows.of(shape, keys[place], law) for place, shape in enumerate(shapes)]
    widths = {place: shape[0] for place, shape in enumerate(shapes) if len(shape) == 1}
    for width in {width for width in widths.values() if 0 < width <= _SHORT}:
        places = [place for place, other in widths.items() if other == width]
        of_leaf = keys[np.array(places)]

        def generate(keys: Key, width: int = width) -> jax.Array:
            return law.generate(jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys), width)

        numbers = hold(generate, of_leaf, jax.random.key_data(of_leaf))
        for row, place in enumerate(places):
            recipes[place] = recipes[place].holding(numbers[row : row + 1])
    return tuple(recipes)


def drawn_in_place(recipes: tuple) -> tuple:
    """The recipes without what short leaves draw beforehand, for when few of them are needed."""
    return tuple(
        dataclasses.replace(recipe, numbers=None) if isinstance(recipe, Rows) else recipe
        for recipe in recipes
    )
