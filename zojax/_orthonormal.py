"""Orthonormal columns by Gram-Schmidt."""

import functools

import jax
import jax.numpy as jnp

from zojax._mesh import replicated
from zojax._schedule import zero_after


def orthonormal(g: jax.Array) -> jax.Array:
    """The Q of the QR decomposition of g, (..., m, r) with r <= m, whose R has a positive diagonal.

    Of gaussian columns that has the uniform (Haar) law; another choice of signs has not. Each
    column is cleaned twice, which makes them orthogonal to rounding. A column that depends on those
    before it is what rounding left of it, or 0.

    Not by jnp.linalg.qr: several such calls in one program can wait for each other forever on a CPU
    of two cores (jax 0.10.2).
    """
    exact = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    # On a mesh all devices do the same: cut, sums and columns would be sent for in every round.
    g = replicated(g)

    def add(column: jax.Array, q: jax.Array) -> jax.Array:
        v = jax.lax.dynamic_index_in_dim(g, column, -1, keepdims=False)
        for _ in range(2):
            v = v - exact("...mr,...r->...m", q, exact("...mr,...m->...r", q, v))
        norm = jnp.linalg.norm(v, axis=-1, keepdims=True)
        v = v / jnp.where(norm > 0, norm, 1.0)
        return replicated(jax.lax.dynamic_update_index_in_dim(q, replicated(v), column, -1))

    # Zeros that wait: those of all matrices would be made first.
    none = replicated(jnp.full(g.shape, zero_after(g.dtype, g)))
    return replicated(jax.lax.fori_loop(0, g.shape[-1], add, none))
