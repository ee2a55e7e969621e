"""Contractions with a wide leaf that is perturbed block by block, and never exists as a whole."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from zojax._mesh import has_explicit_axes
from zojax._schedule import true_after, used_after
from zojax.evaluation._combs import combs
from zojax.evaluation._cost import Cut
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation.rules._dot import Dot, Product
from zojax.recipes import split


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


def by_kept_axis(
    x: jax.Array,
    leaf: Perturbed,
    dot: Product,
    cut: Cut,
    weights: Callable[[Perturbed, jax.Array], jax.Array] = Perturbed.dense,
) -> jax.Array:
    """Each block of the leaf gives its own part of the result.

    Args:
      x: what the leaf is contracted with.
      leaf: lies as it is stored.
      dot: how.
      cut: of the leaf.
      weights: what x meets, of a block; it is given x too.
    """
    axis, blocks = cut
    out = _shape_of_result(x, leaf, dot)
    along, grain = dot.place_of(axis, x, leaf.ndim), leaf.recipe.grains[axis]
    if (parts := combs(blocks, grain)) is not None:
        leaf = dataclasses.replace(leaf, base=used_after(leaf.base, x))
        shape = (parts.teeth, parts.count, parts.tooth)

        def write_comb(i: jax.Array, out: jax.Array) -> jax.Array:
            part = dot(x, _joined(weights(leaf.comb(axis, parts, i), x), axis))
            part = split(part, along, parts.tooth)
            return jax.lax.dynamic_update_index_in_dim(out, part, i, along + 1)

        none = _empty((*out.shape[:along], *shape, *out.shape[along + 1 :]), out.dtype, x)
        return jax.lax.fori_loop(0, parts.count, write_comb, none).reshape(out.shape)

    whole, rest = blocks.whole_and_rest(grain)
    divisor = blocks.length if rest else blocks.divisor

    def write(first: jax.Array | int, length: int, out: jax.Array) -> jax.Array:
        part = dot(x, weights(leaf.slice(axis, first, length, divisor=divisor), x))
        return jax.lax.dynamic_update_slice_in_dim(out, part, first, along)

    out = jax.lax.fori_loop(
        0,
        whole,
        lambda block, out: write(blocks.first(block), blocks.length, out),
        _empty(out.shape, out.dtype, x),
    )
    return write(blocks.size - rest, rest, out) if rest else out


def by_summed_axis(
    x: jax.Array,
    leaf: Perturbed,
    dot: Product,
    cut: Cut,
    weights: Callable[[Perturbed, jax.Array], jax.Array] = Perturbed.dense,
) -> jax.Array:
    """Each block of the leaf, with its part of x, gives a term; arguments as `by_kept_axis`."""
    axis, blocks = cut
    along = dot.met_by(axis)
    term_of = dot.summed_widely(x)
    if (parts := combs(blocks, leaf.recipe.grains[axis])) is not None:
        leaf = dataclasses.replace(leaf, base=used_after(leaf.base, x))
        whole, rest = parts.count, 0

        def term(i: jax.Array) -> jax.Array:
            part = _joined(parts.cut(x, along, i), along)
            return term_of(part, _joined(weights(leaf.comb(axis, parts, i), x), axis))

    else:
        length = blocks.length
        whole, rest = divmod(blocks.size, length)

        def term(i: jax.Array, length: int = length, first: int = 0) -> jax.Array:
            first, divisor = first + i * length, math.gcd(first, length)
            part = jax.lax.dynamic_slice_in_dim(x, first, length, along)
            return term_of(part, weights(leaf.slice(axis, first, length, divisor=divisor), x))

    out = jax.eval_shape(term, 0)
    zeros = jnp.zeros(out.shape, out.dtype) + _zero(out.dtype, x)
    total = jax.lax.fori_loop(0, whole, lambda i, total: total + term(i), zeros)
    if rest:
        total = total + term(0, rest, blocks.size - rest)
    return total.astype(_shape_of_result(x, leaf, dot).dtype)


def _shape_of_result(x: jax.Array, leaf: Perturbed, dot: Product) -> Any:
    return jax.eval_shape(lambda: dot(x, leaf.cast(leaf.whole().base)))


def _zero(dtype: Any, x: jax.Array) -> jax.Array:
    """0, known only when x is: a loop's result is not allocated before its turn."""
    return jnp.where(true_after(x), 0, 1).astype(dtype)


def _empty(shape: tuple[int, ...], dtype: Any, x: jax.Array) -> jax.Array:
    return jnp.broadcast_to(_zero(dtype, x), shape)


def _joined(array: jax.Array, axis: int) -> jax.Array:
    """An axis and the next one as one."""
    shape = array.shape
    return array.reshape(*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])
