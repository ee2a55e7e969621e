"""Sums over directions that are noise less its part along a vector, and over their scores."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._axis_blocks import AxisBlocks
from zojax._schedule import make_after, zero_after
from zojax.recipes._deflated import Deflated, contracted
from zojax.recipes._recipe import query


def sum_deflated(
    coefficients: jax.Array, recipe: Deflated, shape: tuple[int, ...], dtype: Any, datum: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns Σ_k c_k z_k and Σ_k c_k Σ l_k z_k; every direction is drawn once for both.

    The second inner sum is over the axes that a does not depend on. A stack is summed layer by
    layer: besides the results, the noise of one layer (or of a few small ones) is alive.

    Args:
      coefficients: c, shape (K,).
      recipe: of K directions: every array leads with K.
      shape: of the leaf.
      dtype: of the first sum; both are formed in float32 or wider.
      datum: is known before anything is drawn.

    Returns:
      The first sum, of this shape, and the second, with the shape of `along`, float32 or wider.
    """
    coefficients = make_after(lambda c: c, coefficients, datum)
    along = recipe.along[0]
    is_stack = len(shape) > 0 and 0 not in recipe.summed and along.shape[0] == shape[0]
    if not is_stack or not math.prod(shape):
        total, scores = _sum_block(coefficients, recipe, shape, datum)
        return total.astype(dtype), scores
    layers = _thresholds.DEFLATED_BLOCK // math.prod(shape[1:])
    blocks = AxisBlocks(shape[0], max(1, min(shape[0], layers)))

    def write(block: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        first, length = blocks.first(block), blocks.length
        inside = jax.vmap(lambda one: one.slice(0, first, length, divisor=blocks.divisor))(recipe)
        parts = _sum_block(coefficients, inside, (blocks.length, *shape[1:]), sums[1])
        return tuple(
            jax.lax.dynamic_update_slice_in_dim(out, part.astype(out.dtype), first, 0)
            for out, part in zip(sums, parts, strict=True)
        )

    none = jnp.full(shape, zero_after(dtype, datum)), jnp.zeros_like(along)
    return jax.lax.fori_loop(0, blocks.count, write, none)


def _sum_block(
    coefficients: jax.Array, recipe: Deflated, shape: tuple[int, ...], datum: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The sums of `sum_deflated` over what can be drawn at once."""
    free = [axis for axis, n in enumerate(shape) if n > 1 and recipe.along.shape[1 + axis] == 1]

    def terms(k: jax.Array | int, datum: jax.Array) -> tuple[jax.Array, jax.Array]:
        one = query(recipe, k)
        noise, left = one.noise_and_left(shape, datum)
        # Σ l z = Σ l u + (Σ l²) a: of z itself there is no buffer.
        rows = [n if axis in free else left.shape[axis] for axis, n in enumerate(shape)]
        squares = jnp.sum(jnp.broadcast_to(left**2, rows), free, keepdims=True)
        scores = contracted(noise, left, free) + squares * one.along
        c = coefficients[k].astype(noise.dtype)
        return c * (noise + left * one.along), c * scores

    def add(k: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        return tuple(a + b for a, b in zip(sums, terms(k, sums[1]), strict=True))

    count = coefficients.shape[0]
    if count == 1:
        return terms(0, datum)
    outs = jax.eval_shape(lambda: terms(0, datum))
    none = tuple(jnp.full(out.shape, zero_after(out.dtype, datum)) for out in outs)
    return jax.lax.fori_loop(0, count, add, none)
