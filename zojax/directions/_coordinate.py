"""One coordinate at a time."""

import math

import jax
import jax.numpy as jnp

from zojax import _keys
from zojax._keys import Role
from zojax._typing import Key, Params
from zojax.directions._factors import Factors
from zojax.directions._sampler import Directions, Sampler, memoryless, ones
from zojax.directions._views import MatrixView


def coordinate() -> Sampler:
    """Z = √d e_i with i uniform among the d entries of params. E[z zᵀ] = I (c = 1).

    The one entry is the product of two unit vectors, so a query stores (and evaluates) no more than
    a factored direction of rank 1.
    """

    def draw(key: Key, params: Params) -> Directions:
        leaves = jax.tree.leaves(params)
        sizes = jnp.array([leaf.size for leaf in leaves], jnp.float32)
        # First a leaf, by its share of the entries, then a row and a column of it: a single index
        # would not fit 32 bits for models of more than 4 billion parameters.
        pick = jax.random.fold_in(key, Role.COORDINATE.value)
        chosen = jax.random.choice(pick, len(leaves), p=sizes / sizes.sum())
        scale = math.sqrt(sum(leaf.size for leaf in leaves))
        keys = _keys.leaf_keys(key, params, Role.COORDINATE)
        return tuple(
            _unit(leaf, keys[place], scale * (chosen == place)) for place, leaf in enumerate(leaves)
        )

    return memoryless(draw, ones)


def _unit(leaf: jax.Array, key: Key, scale: jax.Array) -> Factors:
    """Scale · e_i of a leaf, i uniform among its entries."""
    lead, width = leaf.shape[:-1], leaf.shape[-1] if leaf.ndim else 1
    row_key, column_key = jax.random.split(key)
    left = scale * _one_hot(row_key, math.prod(lead)).reshape(*lead, 1)
    right = _one_hot(column_key, width).reshape(*leaf.shape[-1:], 1)
    axes = tuple(range(leaf.ndim))
    return Factors.of(MatrixView(rows=axes[:-1], columns=axes[-1:]), left, right)


def _one_hot(key: Key, size: int) -> jax.Array:
    return jax.nn.one_hot(jax.random.randint(key, (), 0, size), size, dtype=jnp.float32)
