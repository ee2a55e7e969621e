"""Contractions with a wide leaf that is perturbed block by block, and never exists as a whole."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from zojax._mesh import has_explicit_axes
from zojax._schedule import true_after
from zojax.evaluation._cost import Cut, combs
from zojax.evaluation._perturbed import Perturbed, teeth
from zojax.evaluation.rules._dot import Dot, Product


def in_blocks(
    by_axis: Callable[..., jax.Array], x: jax.Array, leaf: Perturbed, dot: Dot, cut: Cut
) -> jax.Array:
    """By the kept or the summed axis; where blocks lie on a mesh is the compiler's business.

    Args:
      by_axis: `by_kept_axis` or `by_summed_axis`.
      x: what the leaf is contracted with.
      leaf: lies as it is stored.
      dot: how.
      cut: of the leaf.
    """
    if not has_explicit_axes():
        return by_axis(x, leaf, dot, cut)
    out = _shape_of_result(x, leaf, dot)
    unplaced = dot.changed(out_sharding=None)
    return jax.sharding.auto_axes(
        lambda x, leaf: by_axis(x, leaf, unplaced, cut), out_sharding=out.sharding.spec
    )(x, leaf)


def by_kept_axis(x: jax.Array, leaf: Perturbed, dot: Product, cut: Cut) -> jax.Array:
    """Each block of the leaf gives its own part of the result."""
    axis, blocks = cut
    out = _shape_of_result(x, leaf, dot)
    along = dot.place_of(axis, x, leaf.ndim)
    if (count := combs(blocks)) is not None:
        shape = (*out.shape[:along], blocks.size // count, count, *out.shape[along + 1 :])

        def comb(i: jax.Array, out: jax.Array) -> jax.Array:
            part = dot(x, leaf.comb(axis, i, count).dense(x))
            return jax.lax.dynamic_update_index_in_dim(out, part, i, along + 1)

        parts = jax.lax.fori_loop(0, count, comb, _empty(shape, out.dtype, x))
        return parts.reshape(out.shape)

    def write(block: jax.Array, out: jax.Array) -> jax.Array:
        first = blocks.first(block)
        part = dot(x, leaf.slice(axis, first, blocks.length).dense(x))
        return jax.lax.dynamic_update_slice_in_dim(out, part, first, along)

    return jax.lax.fori_loop(0, blocks.count, write, _empty(out.shape, out.dtype, x))


def by_summed_axis(x: jax.Array, leaf: Perturbed, dot: Product, cut: Cut) -> jax.Array:
    """Each block of the leaf, with its part of x, gives a term of the result."""
    axis, blocks = cut
    along = dot.met_by(axis)
    term_of = dot.summed_widely(x)
    if (count := combs(blocks)) is not None:
        whole, rest = count, 0

        def term(i: jax.Array) -> jax.Array:
            return term_of(teeth(x, along, i, count), leaf.comb(axis, i, count).dense(x))

    else:
        length = blocks.length
        whole, rest = divmod(blocks.size, length)

        def term(i: jax.Array, length: int = length, first: int = 0) -> jax.Array:
            first = first + i * length
            part = jax.lax.dynamic_slice_in_dim(x, first, length, along)
            return term_of(part, leaf.slice(axis, first, length).dense(x))

    out = jax.eval_shape(term, 0)
    zeros = jnp.zeros(out.shape, out.dtype) + _zero(out.dtype, x)
    total = jax.lax.fori_loop(0, whole, lambda i, total: total + term(i), zeros)
    if rest:
        total = total + term(0, rest, blocks.size - rest)
    return total.astype(_shape_of_result(x, leaf, dot).dtype)


def _shape_of_result(x: jax.Array, leaf: Perturbed, dot: Product) -> Any:
    return jax.eval_shape(lambda: dot(x, leaf.cast(leaf.base)))


def _zero(dtype: Any, x: jax.Array) -> jax.Array:
    """0, known only when x is: a loop's result is not allocated before its turn."""
    return jnp.where(true_after(x), 0, 1).astype(dtype)


def _empty(shape: tuple[int, ...], dtype: Any, x: jax.Array) -> jax.Array:
    return jnp.broadcast_to(_zero(dtype, x), shape)
