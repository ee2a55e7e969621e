"""One coordinate at a time."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from zojax import _checks
from zojax._typing import Key, Params
from zojax.noise import Role, _keys
from zojax.recipes import Directions
from zojax.samplers._sampler import Sampler, ignore, memoryless, ones
from zojax.samplers._units import entry_of, matrix_of, unit

# The entries of params are numbered, and two such numbers added up, in uint32.
_MOST_ENTRIES = 1 << 31
# Of a random number that decides between leaves, the highest first.
_WORDS = 4
_SHIFTS = tuple(32 * place for place in reversed(range(_WORDS)))


def coordinate(order: str = "random") -> Sampler:
    """Z = √d e_i, i one of the d entries of params. E[z zᵀ] = I (c = 1).

    The one entry is the product of two unit vectors, so a query stores (and evaluates) no more than
    a factored direction of rank 1.

    The loss is measured at μ = radius·√d from params, in the one entry: for the published
    estimators give `radius = μ / √d`.

    - "random": i is uniform and independent for every query. With q queries a central estimate is
      (d/q) Σ_j [f(x + μ e_i) - f(x - μ e_i)] / (2 μ) e_i, i = i_j: random coordinates with
      replacement (ZO-SCD).
    - "cyclic": query k of step t takes i = (t·K + k) mod d, the entries of the leaves in tree order
      and row by row; the key has no say. With `num_queries` = d an estimate is the coordinate-wise
      one (CGE), the difference quotient of each entry: exact on quadratics if central, and off by
      μ/2 times the diagonal of the Hessian if forward. With fewer it is d/K times the part of that
      which belongs to K entries in a row; over d steps every entry has been measured K times.

    Args:
      order: "random" or "cyclic".

    Raises:
      ValueError: for another word; when directions are drawn in cyclic order, if params have more
        than 2³¹ entries.

    Source: Liu et al., "A primer on zeroth-order optimization in signal processing and machine
    learning", IEEE Signal Processing Magazine 37(5), 2020, arXiv:2006.06224.
    """
    _checks.one_of(("random", "cyclic"), order=order)
    if order == "random":
        return memoryless(_random, ones)

    def init(params: Params) -> tuple[()]:
        _size(params)
        return ()

    def recall(key: Key, step: jax.Array, num_queries: int, params: Params) -> Directions:
        del key
        entries = _first_entry(step, num_queries, _size(params))
        entries = (entries + jnp.arange(num_queries, dtype=jnp.uint32)) % _size(params)
        scale = math.sqrt(_size(params))
        return jax.vmap(lambda entry: entry_of(entry, params, scale))(entries)

    def draw(state, key, step, num_queries, params):
        return recall(key, step, num_queries, params), state

    return Sampler(init, draw, ignore, ones, recall=recall)


def _random(key: Key, params: Params) -> Directions:
    leaves = jax.tree.leaves(params)
    # First a leaf, by its share of the entries, then a row and a column of it: a single index
    # would not fit 32 bits for models of more than 4 billion parameters.
    words = jax.random.bits(jax.random.fold_in(key, Role.COORDINATE.value), (_WORDS,), jnp.uint32)
    chosen = leaf_of(words, [leaf.size for leaf in leaves])
    scale = math.sqrt(sum(leaf.size for leaf in leaves))
    keys = _keys.leaf_keys(key, params, Role.COORDINATE)
    recipes = []
    for place, leaf in enumerate(leaves):
        below = [
            jax.random.randint(part, (), 0, count)
            for part, count in zip(
                jax.random.split(keys[place]), matrix_of(leaf.shape), strict=True
            )
        ]
        recipes.append(unit(leaf, *below, scale * (chosen == place)))
    return tuple(recipes)


def leaf_of(words: jax.Array, sizes: Sequence[int]) -> jax.Array:
    """The place of the leaf that a random number falls in, each by its share of all entries.

    Words w make the number u = Σ_i w_i 2^(-32 i - 32) in [0, 1), and leaf j is chosen where u is in
    its part of [0, 1). The borders are rounded down to multiples of 2^-128, in whole numbers of
    Python: a leaf with one of 2⁶³ entries still has its share to a part in 10¹⁹.

    Args:
      words: uint32, the highest first, (4,).
      sizes: entries of each leaf.
    """
    ends = np.cumsum([0, *sizes], dtype=object)
    bits = 32 * _WORDS
    borders = [(int(end) << bits) // max(int(ends[-1]), 1) for end in ends[1:-1]]
    table = [[(border >> shift) & 0xFFFFFFFF for shift in _SHIFTS] for border in borders]
    border = jnp.array(np.array(table, np.uint32).reshape(-1, _WORDS))
    at_least = jnp.ones(len(borders), bool)
    for place in reversed(range(_WORDS)):
        word, of_border = words[place], border[:, place]
        at_least = (word > of_border) | ((word == of_border) & at_least)
    return jnp.sum(at_least, dtype=jnp.int32)


def _size(params: Params) -> int:
    """The number d of entries."""
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    if size > _MOST_ENTRIES:
        raise ValueError(
            f"order='cyclic' numbers the entries of params, of which there may be at most 2**31; "
            f"got {size}. Use order='random', or pass weights that are not trained to value_fn as "
            "an argument"
        )
    return size


def _first_entry(step: jax.Array, num_queries: int, size: int) -> jax.Array:
    """(step · num_queries) mod size, uint32, where the product would not fit.

    The sum over the bits of the step of (2^bit · num_queries) mod size, whole numbers of Python.
    """
    parts = jnp.array([(num_queries << bit) % size for bit in range(31)], jnp.uint32)
    set_bits = (jnp.asarray(step).astype(jnp.uint32) >> jnp.arange(31, dtype=jnp.uint32)) & 1
    terms = set_bits * parts
    add = lambda bit, total: (total + terms[bit]) % size  # noqa: E731
    return jax.lax.fori_loop(0, 31, add, jnp.uint32(0))
