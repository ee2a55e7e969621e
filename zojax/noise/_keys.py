"""One key for every (step, query, leaf path, role): the only place where keys are derived.

    step key   = fold_in(key, step)
    query key  = fold_in(step key, query)
    leaf key   = fold_in(fold_in(query key, h₁), h₂),    h₁ h₂ = 64-bit hash of (role, path)

and the numbers of a row of a leaf depend on the leaf key and the row (see `_generator.row_bits`).

A leaf's path and not its place in the tree decides its noise, so two leaves of one shape never
share it, and adding a leaf leaves the noise of the others alone. What depends on the step but not
on the query (a basis that all queries share) folds in the refresh index instead of step and query.

The leaves' keys are derived side by side: with generators whose rounds are unrolled, every fold_in
that stands alone in the program costs compile time.
"""

import enum
import hashlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zojax._schedule import draw_after
from zojax._typing import Key, Params
from zojax.noise._generator import fold_in


class Role(enum.IntEnum):
    """What a key is spent on. The numbers are part of every trajectory: append, never renumber."""

    DIRECTION = 0
    LEFT = 1
    CORE = 2
    RIGHT = 3
    COORDINATE = 4
    CURVATURE = 5
    ORDER = 6
    ESTIMATOR = 7
    ROUNDING = 8


def check(key: Key) -> None:
    """Raises if `key` is no typed key, or its generator cannot regenerate directions.

    Raises:
      TypeError: if `key` is not a typed key of shape ().
      ValueError: if the generator is `unsafe_rbg`.
    """
    if not (hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        raise TypeError(f"key must be a typed key, as jax.random.key(0) makes, got {key!r}")
    if key.shape != ():
        raise TypeError(f"key must be one key, shape (), got shape {key.shape}")
    generator = str(jax.random.key_impl(key))
    if generator == "unsafe_rbg":
        raise ValueError(
            "key uses the generator unsafe_rbg, whose fold_in ignores the order of what is folded "
            "in, so different leaves, rows and steps would share noise; use "
            "jax.random.key(seed, impl='threefry2x32'), JAX's default"
        )
    if generator == "rbg":
        warnings.warn(
            "key uses the generator rbg: under vmap it draws from the first key only, and its "
            "values depend on the backend and the sharding, so several queries may share noise and "
            "a run is not reproducible elsewhere; prefer jax.random.key(seed, impl='threefry2x32')",
            stacklevel=3,
        )


def query_keys(key: Key, step: jax.Array, num_queries: int) -> Key:
    """The keys of the queries of a step, shape (num_queries,)."""
    return _fold(_fold(key, step), jnp.arange(num_queries))


def leaf_keys(key: Key, params: Params, role: Role) -> Key:
    """The keys of all leaves in one role under a query's key, shape (leaves,)."""
    hashes = np.array([_hash(path, role) for path, _ in jax.tree.leaves_with_path(params)])
    return _fold(_fold(key, hashes[:, 0]), hashes[:, 1])


def refresh_key(key: Key, refresh: jax.Array) -> Key:
    """The key of what is drawn anew every so many steps, in place of a query's key."""
    return _fold(key, refresh)


def order_key(key: Key, turn: jax.Array) -> Key:
    """The key of a choice that all leaves share, made once in a while."""
    first, second = _hash((), Role.ORDER)
    return _fold(_fold(_fold(key, turn), first), second)


def estimator_key(key: Key, step: jax.Array) -> Key:
    """The key of a step for what an estimator draws."""
    first, second = _hash((), Role.ESTIMATOR)
    return _fold(_fold(_fold(key, step), first), second)


@jax.jit  # traced once for all keys of a shape: a program folds many
def _fold(key: Key, data: ArrayLike) -> Key:
    """fold_in of one key, or of each of several, with data of shape () or (n,)."""
    # Held in a buffer: fused with the next fold_in, unrolled rounds are repeated exponentially
    # often.
    words = draw_after(
        lambda key: jax.random.key_data(fold_in(key, data)), key, jax.random.key_data(key)
    )
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))


def _hash(path: tuple, role: Role) -> np.ndarray:
    """Two words, uint32."""
    # The parts are joined by a character that no sensible name holds, so that the paths
    # ("a/b",) and ("a", "b") differ.
    parts = [str(role.value), *(jax.tree_util.keystr((entry,), simple=True) for entry in path)]
    digest = hashlib.blake2s("\x1f".join(parts).encode(), digest_size=8).digest()
    return np.frombuffer(digest, "<u4")
