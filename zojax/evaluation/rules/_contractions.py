"""Rule for contractions, where a perturbed leaf meets data.

    dense      x · (W + r z):  z is drawn when x is known, once for all points that share it
    flipped    x · W + r ((x ∘ s) · U) ∘ t:  two products, each one for all points and queries
    low rank   x · W + r (x · L) · Rᵀ:  one product with the base weight for all points and queries;
               on CPU x · (W + r L · Rᵀ), where wide factors meet so many tokens that it is faster
    block      x · W where another block is active: nothing is drawn, and all points share W

A wide dense leaf (an embedding used as the head) is perturbed in blocks: of the axis that the
product keeps, else of the axis that it sums over.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from zojax.evaluation._cost import cheaper_multiplied_out, cut_of_kept, cut_of_summed
from zojax.evaluation._met import is_met
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._sequence import in_sequence, is_result
from zojax.evaluation.rules._active_blocks import contract_if_active
from zojax.evaluation.rules._blocked_contractions import by_kept_axis, by_summed_axis, in_blocks
from zojax.evaluation.rules._dot import Dot
from zojax.evaluation.rules._flipped_contractions import signs_beside
from zojax.evaluation.rules._low_rank_contractions import through_the_rank
from zojax.recipes import Block, Flipped, LowRank


def dot_general(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """A product of an array and a perturbed leaf, on either side; two leaves are drawn."""
    params = dict(eqn.params)
    (contract_a, contract_b), (batch_a, batch_b) = params.pop("dimension_numbers")
    a, b = operands
    if isinstance(a, Perturbed) and isinstance(b, Perturbed):
        return None
    if isinstance(b, Perturbed):
        dot = Dot(contract_a, contract_b, batch_a, batch_b, params)
        out = _contract(jnp.asarray(a), b, dot)
        is_result(out)
        return [out]
    x, dot = jnp.asarray(b), Dot(contract_b, contract_a, batch_b, batch_a, params)
    out = _contract(x, a, dot)
    is_result(out)
    # The result has the axes of x before those of the leaf; the loss asked for the reverse.
    first, kept = len(batch_b), len(dot.kept_of_x(x))
    axes = range(out.ndim)
    order = (*axes[:first], *axes[first + kept :], *axes[first : first + kept])
    return [jnp.transpose(out, order)]


def _contract(x: jax.Array, leaf: Perturbed, dot: Dot) -> jax.Array:
    """Contracts the base as it lies, and gives the result its axes in the order of the loss."""
    lies = leaf.permutation
    lying = dot._replace(
        contract_w=tuple(lies[axis] for axis in dot.contract_w),
        batch_w=tuple(lies[axis] for axis in dot.batch_w),
    )
    if not lying.batch_w:
        is_met(leaf, x, lying.contract_x, lying.contract_w)
    out = _contract_base(x, leaf.replaced(leaf.base, leaf.recipe), lying)
    kept = [lies[axis] for axis in dot.kept_of_w(leaf.ndim)]
    first = out.ndim - len(kept)
    return jnp.transpose(out, (*range(first), *(first + sorted(kept).index(a) for a in kept)))


def _contract_base(x: jax.Array, leaf: Perturbed, dot: Dot) -> jax.Array:
    if isinstance(leaf.recipe, LowRank):
        tokens = math.prod(x.shape[axis] for axis in dot.kept_of_x(x))
        if not cheaper_multiplied_out(leaf, x, tokens):
            return _contract_low_rank(x, leaf, dot)
        return jax.lax.platform_dependent(
            cpu=lambda: _contract_dense(x, leaf, dot),
            default=lambda: _contract_low_rank(x, leaf, dot),
        )
    if isinstance(leaf.recipe, Flipped):
        return _contract_flipped(x, leaf, dot)
    if isinstance(leaf.recipe, Block) and not leaf.recipe.cut:
        return contract_if_active(
            lambda x, leaf: _contract_base(x, leaf, dot), x, leaf.whole(), dot
        )
    return _contract_dense(x, leaf, dot)


def _contract_flipped(x: jax.Array, leaf: Perturbed, dot: Dot) -> jax.Array:
    """With signs on both sides of the common noise, where they do not meet it in between."""
    signs = signs_beside(x, leaf, dot)
    if signs is None:
        return _contract_dense(x, leaf, dot)
    base = _contract_base_alone(x, leaf, dot)

    def noise(leaf: Perturbed, flipped: jax.Array) -> jax.Array:
        # In the sequence of what leaves meet x has its place, and not what signs make of it.
        return leaf.recipe.noise.draw(leaf.base.shape, in_sequence(x)).astype(flipped.dtype)

    added = signs.behind(_contract_by(noise, signs.before(x), leaf, dot))
    return base + (leaf.radius * added).astype(base.dtype)


def _contract_low_rank(x: jax.Array, leaf: Perturbed, dot: Dot) -> jax.Array:
    """Through the rank, beside one product with the base weight for all points."""
    base = _contract_base_alone(x, leaf, dot)
    return base + through_the_rank(x, leaf, dot).astype(base.dtype)


def _contract_base_alone(x: jax.Array, leaf: Perturbed, dot: Dot) -> jax.Array:
    """The product with the base weight.

    It is the loss's own. Of a weight that is stored in parts blocks are gathered one by one: left
    to itself XLA gathers a table as a whole, or all activations (of Qwen3-32B in 64 parts it sent
    three times as much, and took 1.6 times the memory of inference instead of 0.7). What is small
    is left to it.
    """
    base = _contract_in_blocks(x, leaf, dot, _base_alone) if leaf.gathered else None
    return dot(x, leaf.cast(leaf.base)) if base is None else base


def _base_alone(leaf: Perturbed, x: jax.Array) -> jax.Array:
    del x
    return leaf.cast(leaf.whole().base)


def _contract_dense(x: jax.Array, leaf: Perturbed, dot: Dot) -> jax.Array:
    """With the perturbed leaf, whole or in blocks of it."""
    return _contract_by(Perturbed.dense, x, leaf, dot)


def _contract_by(
    weights: Callable[[Perturbed, jax.Array], jax.Array], x: jax.Array, leaf: Perturbed, dot: Dot
) -> jax.Array:
    """With `weights` of a leaf, whole or in blocks of it."""
    out = _contract_in_blocks(x, leaf, dot, weights)
    return dot(x, weights(leaf, x)) if out is None else out


def _contract_in_blocks(
    x: jax.Array, leaf: Perturbed, dot: Dot, weights: Callable[[Perturbed, jax.Array], jax.Array]
) -> jax.Array | None:
    """With `weights` of blocks of a leaf; None where it is small enough whole."""
    kept = cut_of_kept(leaf, dot.kept_of_w(leaf.ndim))
    summed = cut_of_summed(leaf, dot.contract_w)
    if kept and (summed is None or kept.blocks.count >= summed.blocks.count):
        return in_blocks(partial(by_kept_axis, weights=weights), x, leaf, dot, kept)
    if summed:
        return in_blocks(partial(by_summed_axis, weights=weights), x, leaf, dot, summed)
    return None
