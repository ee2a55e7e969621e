"""The polar factor of the leading part of a matrix, by one round of a power iteration a step."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from zojax import _checks
from zojax._dtypes import wide
from zojax._orthonormal import orthonormal
from zojax._typing import Params

# Some devices multiply float32 with fewer digits unless told otherwise.
_product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


class PowerIterationState(NamedTuple):
    """State of `power_iteration`.

    Attributes:
      right: V, for a matrix of m rows and n columns (..., n, k), float32 or wider; an empty array
        for leaves of fewer than two axes.
      num_updates: shape (), int32.
    """

    right: Params
    num_updates: jax.Array


def power_iteration(components: int = 32) -> optax.GradientTransformation:
    """Replaces every matrix X by about U Vᵀ of its k leading singular vectors.

        V ← Q of Xᵀ (X V),    U = the columns of X V over their lengths,    X → U Vᵀ           (1)

    once a step: V begins where the last step's ended, and at first as the first k rows of X. If X
    stays, U Vᵀ tends to the polar factor of its best approximation of rank k; with k its smaller
    side, to that of X. The columns of U are of length 1, but orthogonal in the limit only.

    The last two axes of a leaf are the matrix, those before them a batch; leaves of fewer axes pass
    unchanged. k is clamped to the smaller side. All in float32 (or the leaf's dtype, if wider), and
    cast to that dtype in the end. The scale of X is lost, and zero stays zero.

    Stores V, n k numbers a matrix. No loss evaluation. About 6 m n k + 4 n k² flops a matrix.

    Args:
      components: k, at least 1.

    Raises:
      ValueError: for a number below 1.

    Source: arXiv:2605.09034 (ZO-MOPI), as in its official code.
    """
    _checks.at_least(1, components=components)

    def init_fn(params: Params) -> PowerIterationState:
        def none(leaf: jax.Array) -> jax.Array:
            if leaf.ndim < 2:
                return jnp.zeros((0,), wide(leaf.dtype))
            *batch, m, n = leaf.shape
            return jnp.zeros((*batch, n, min(components, m, n)), wide(leaf.dtype))

        return PowerIterationState(jax.tree.map(none, params), jnp.zeros((), jnp.int32))

    def update_fn(
        updates: optax.Updates, state: PowerIterationState, params: Params | None = None
    ) -> tuple[optax.Updates, PowerIterationState]:
        del params
        leaves, treedef = jax.tree.flatten(updates)
        rights = treedef.flatten_up_to(state.right)
        is_first = state.num_updates == 0
        pairs = [_round(x, v, is_first) for x, v in zip(leaves, rights, strict=True)]
        factors, rights = ([pair[place] for pair in pairs] for place in (0, 1))
        num_updates = optax.safe_increment(state.num_updates)
        return treedef.unflatten(factors), PowerIterationState(
            treedef.unflatten(rights), num_updates
        )

    return optax.GradientTransformation(init_fn, update_fn)


def _round(leaf: jax.Array, right: jax.Array, is_first: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Equation (1): U Vᵀ, and V."""
    if leaf.ndim < 2:
        return leaf, right
    # Products of three would leave the range of float32; the scale is lost anyway.
    x = _over(leaf.astype(right.dtype), jnp.max(jnp.abs(leaf), axis=(-2, -1), keepdims=True))
    k = right.shape[-1]
    right = jnp.where(is_first, x[..., :k, :].mT, right)
    right = orthonormal(_product(x.mT, _product(x, right)))
    left = _product(x, right)
    left = _over(left, jnp.linalg.norm(left, axis=-2, keepdims=True))
    return _product(left, right.mT).astype(leaf.dtype), right


def _over(x: jax.Array, size: jax.Array) -> jax.Array:
    """X over its size; what has none stays 0."""
    size = size.astype(x.dtype)
    return x / jnp.where(size > 0, size, 1.0)
