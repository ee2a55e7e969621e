"""Rules for where a perturbed leaf meets data: contractions and gathered rows.

    dense      x · (W + r z):  z is drawn when x is known, once for all points that share it
    factored   x · W + r (x · L) · Rᵀ:  one product with the base weight for all points and queries;
               on CPU x · (W + r L · Rᵀ), where wide factors meet so many tokens that it is faster
    block      x · W where another block is active: nothing is drawn, and all points share W

A wide dense leaf (an embedding used as the head) is perturbed in blocks: of the axis that the
product keeps, else of the axis that it sums over.
"""

import math

import jax
import jax.numpy as jnp
import quax
from jax.typing import ArrayLike

from zojax._hold import keep, known
from zojax._mesh import has_explicit_axes, spans_devices
from zojax.directions import Block, Factors, wide
from zojax.directions._factors import FUSED_RANK, LETTERS, sum_over_rank
from zojax.evaluation._perturbed import Perturbed, teeth

# Summing over blocks reads and writes the result once a block, so it waits for larger leaves.
_PATIENCE = 4
_MOST_BLOCKS = 64
# Multiplications that take as long as to write and read an entry of a weight (two CPU cores).
_TRAFFIC = 8


@quax.register(jax.lax.dot_general_p)
def _(leaf: Perturbed, x: ArrayLike, *, dimension_numbers, **params):
    (contract_w, contract_x), (batch_w, batch_x) = dimension_numbers
    numbers = ((contract_x, contract_w), (batch_x, batch_w))
    out = _contract(jnp.asarray(x), leaf, numbers, params)
    # The result has the axes of x before those of the leaf; the loss asked for the reverse.
    first = len(batch_x)
    kept_x = jnp.ndim(x) - len(contract_x) - first
    axes = range(out.ndim)
    order = (*axes[:first], *axes[first + kept_x :], *axes[first : first + kept_x])
    return jnp.transpose(out, order)


@quax.register(jax.lax.dot_general_p)
def _(x: ArrayLike, leaf: Perturbed, *, dimension_numbers, **params):
    return _contract(jnp.asarray(x), leaf, dimension_numbers, params)


def _contract(x: jax.Array, leaf: Perturbed, numbers, params) -> jax.Array:
    """Contracts the base as it lies, and gives the result its axes in the order of the loss."""
    (contract_x, contract_w), (batch_x, batch_w) = numbers
    lies = leaf.permutation
    lying = tuple(lies[axis] for axis in contract_w), tuple(lies[axis] for axis in batch_w)
    whole = leaf.whole()
    base = whole.replaced(whole.base, whole.recipe)
    out = _contract_base(x, base, ((contract_x, lying[0]), (batch_x, lying[1])), params)
    kept = [lies[axis] for axis in range(leaf.ndim) if axis not in (*contract_w, *batch_w)]
    first = out.ndim - len(kept)
    return jnp.transpose(out, (*range(first), *(first + sorted(kept).index(a) for a in kept)))


def _contract_base(x: jax.Array, leaf: Perturbed, numbers, params) -> jax.Array:
    if isinstance(leaf.recipe, Factors):
        if not _cheaper_multiplied_out(x, leaf, numbers):
            return _contract_factors(x, leaf, numbers, params)
        return jax.lax.platform_dependent(
            cpu=lambda: _contract_dense(x, leaf, numbers, params),
            default=lambda: _contract_factors(x, leaf, numbers, params),
        )
    if isinstance(leaf.recipe, Block) and not leaf.recipe.cut:
        return jax.lax.cond(
            leaf.recipe.active,
            lambda: _contract_base(
                x, leaf.replaced(leaf.base, leaf.recipe.recipe), numbers, params
            ),
            lambda: _dot(x, leaf.cast(leaf.base), numbers, params),
        )
    return _contract_dense(x, leaf, numbers, params)


def _contract_dense(x: jax.Array, leaf: Perturbed, numbers, params) -> jax.Array:
    """With the perturbed leaf, whole or in blocks of it."""
    (_, contracted), (_, batch) = numbers
    free = [axis for axis in range(leaf.ndim) if axis not in (*contracted, *batch)]
    if (axis := _longest(leaf, free)) is not None:
        blocks = _blocks(leaf, axis, leaf.budget)
        if blocks > 1:
            return _in_blocks(_by_kept_axis, x, leaf, numbers, params, axis, blocks)
    if (axis := _longest(leaf, contracted)) is not None:
        blocks = _blocks(leaf, axis, _PATIENCE * leaf.budget)
        if blocks > 1:
            return _in_blocks(_by_summed_axis, x, leaf, numbers, params, axis, blocks)
    return _dot(x, leaf.dense(x), numbers, params)


def _cheaper_multiplied_out(x: jax.Array, leaf: Perturbed, numbers) -> bool:
    """Whether a CPU forms W + r L · Rᵀ in less time than x takes through L and Rᵀ.

    Through the rank, that is a product for each token and another array of the size of the result;
    multiplied out, one for each weight, and weights to write and read. In narrow dtypes the sum
    would round what is added to the result as it is. On a mesh factors stay where they are.
    """
    factors, ((contract_x, _), (batch_x, _)) = leaf.recipe, numbers
    rank = factors.left.shape[-1]
    exact = all(wide(dtype) == dtype for dtype in leaf.dtypes)
    if rank <= FUSED_RANK or not exact or spans_devices():
        return False
    tokens = math.prod(n for axis, n in enumerate(x.shape) if axis not in (*contract_x, *batch_x))
    through = tokens * (factors.left.size + factors.right.size)
    return through > leaf.base.size * (rank + _TRAFFIC)


def _dot(x: jax.Array, w: jax.Array, numbers, params) -> jax.Array:
    return jax.lax.dot_general_p.bind(x, w, dimension_numbers=numbers, **params)


def _contract_factors(x: jax.Array, leaf: Perturbed, numbers, params) -> jax.Array:
    base = _dot(x, leaf.cast(leaf.base), numbers, params)
    (contract_x, contract_w), (batch_x, batch_w) = numbers
    of_leaf, of_x = list(LETTERS[: leaf.ndim]), list(LETTERS[leaf.ndim : leaf.ndim + x.ndim])
    for axis_x, axis_w in (
        *zip(contract_x, contract_w, strict=True),
        *zip(batch_x, batch_w, strict=True),
    ):
        of_x[axis_x] = of_leaf[axis_w]
    shared = [of_x[axis] for axis in batch_x]
    kept_x = [of_x[axis] for axis in range(x.ndim) if axis not in (*contract_x, *batch_x)]
    kept_w = [of_leaf[axis] for axis in range(leaf.ndim) if axis not in (*contract_w, *batch_w)]
    out = "".join((*shared, *kept_x, *kept_w))
    summed = {of_leaf[axis] for axis in contract_w}
    low_rank = _through_rank(x, "".join(of_x), leaf, "".join(of_leaf), summed, out, params)
    return base + low_rank.astype(base.dtype)


def _through_rank(x, of_x: str, leaf: Perturbed, of_leaf: str, summed, out: str, params):
    """The product r x · L · Rᵀ (or r x · R · Lᵀ): first what has all that is summed over."""
    factors, radius = leaf.recipe, leaf.radius * leaf.recipe.scale
    _, of_left, of_right = factors.subscripts(of_leaf)
    sides = [(factors.left, of_left), (factors.right, of_right)]
    exact = dict(
        precision=params.get("precision"),
        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
    )
    for (first, of_first), (second, of_second) in (sides, sides[::-1]):
        if summed <= set(of_first) and not summed & set(of_second):
            inner = "".join(dict.fromkeys(c for c in of_x + of_first if c not in {*summed, "z"}))
            u = radius * jnp.einsum(f"{of_x},{of_first}->{inner}z", x, first, **exact)
            if factors.of_stack and 1 < second.shape[-1] <= FUSED_RANK:
                # Read out of the stack for every entry of the result, it should lie side by side.
                second = keep(lambda factor: jnp.moveaxis(factor, -1, 0), second, x)
                of_second = "z" + of_second[:-1]
            return sum_over_rank(u, inner + "z", second, of_second, out)
    return radius * jnp.einsum(
        f"{of_x},{of_left},{of_right}->{out}", x, *(side[0] for side in sides), **exact
    )


def _longest(leaf: Perturbed, axes) -> int | None:
    """The longest of these axes that counts rows, so that blocks of it can be drawn alone."""
    rows = [axis for axis in axes if leaf.recipe.axes[axis] is not None]
    return max(rows, key=lambda axis: leaf.base.shape[axis], default=None)


def _blocks(leaf: Perturbed, axis: int, budget: int) -> int:
    return min(math.ceil(leaf.base.size / budget), leaf.base.shape[axis], _MOST_BLOCKS)


def _in_blocks(by_axis, x, leaf: Perturbed, numbers, params, axis: int, blocks: int) -> jax.Array:
    """By the kept or the summed axis; where blocks lie on a mesh is the compiler's business."""
    if not has_explicit_axes():
        return by_axis(x, leaf, numbers, params, axis, blocks)
    out = jax.eval_shape(lambda: _dot(x, leaf.cast(leaf.base), numbers, params))
    params = {**params, "out_sharding": None}
    return jax.sharding.auto_axes(
        lambda x, leaf: by_axis(x, leaf, numbers, params, axis, blocks),
        out_sharding=out.sharding.spec,
    )(x, leaf)


def _by_kept_axis(x, leaf: Perturbed, numbers, params, axis: int, blocks: int) -> jax.Array:
    """Each block of the leaf gives its own part of the result."""
    size = leaf.base.shape[axis]
    (_, contracted), (_, batch) = numbers
    free = [a for a in range(leaf.ndim) if a not in (*contracted, *batch)]
    along = x.ndim - len(contracted) + free.index(axis)
    out = jax.eval_shape(lambda: _dot(x, leaf.cast(leaf.base), numbers, params))
    if (combs := _combs(size, blocks)) is not None:
        shape = (*out.shape[:along], size // combs, combs, *out.shape[along + 1 :])

        def comb(i: jax.Array, out: jax.Array) -> jax.Array:
            part = _dot(x, leaf.comb(axis, i, combs).dense(x), numbers, params)
            return jax.lax.dynamic_update_index_in_dim(out, part, i, along + 1)

        parts = jax.lax.fori_loop(0, combs, comb, _empty(shape, out.dtype, x))
        return parts.reshape(out.shape)
    length = -(-size // blocks)

    def write(block: jax.Array, out: jax.Array) -> jax.Array:
        # The last block starts early enough to be whole: what overlaps is written twice alike.
        first = jnp.minimum(block * length, size - length)
        part = _dot(x, leaf.slice(axis, first, length).dense(x), numbers, params)
        return jax.lax.dynamic_update_slice_in_dim(out, part, first, along)

    return jax.lax.fori_loop(0, blocks, write, _empty(out.shape, out.dtype, x))


def _by_summed_axis(x, leaf: Perturbed, numbers, params, axis: int, blocks: int) -> jax.Array:
    """Each block of the leaf, with its part of x, gives a term of the result."""
    (contract_x, contracted), _ = numbers
    along = contract_x[tuple(contracted).index(axis)]
    size = leaf.base.shape[axis]
    wide = {**params, "preferred_element_type": jnp.promote_types(x.dtype, jnp.float32)}
    if (combs := _combs(size, blocks)) is not None:
        whole, rest = combs, 0

        def term(i: jax.Array) -> jax.Array:
            return _dot(
                teeth(x, along, i, combs), leaf.comb(axis, i, combs).dense(x), numbers, wide
            )

    else:
        length = -(-size // blocks)
        whole, rest = divmod(size, length)

        def term(i: jax.Array, length: int = length, first: int = 0) -> jax.Array:
            first = first + i * length
            part = jax.lax.dynamic_slice_in_dim(x, first, length, along)
            return _dot(part, leaf.slice(axis, first, length).dense(x), numbers, wide)

    out = jax.eval_shape(term, 0)
    zeros = jnp.zeros(out.shape, out.dtype) + _zero(out.dtype, x)
    total = jax.lax.fori_loop(0, whole, lambda i, total: total + term(i), zeros)
    if rest:
        total = total + term(0, rest, size - rest)
    dtype = jax.eval_shape(lambda: _dot(x, leaf.cast(leaf.base), numbers, params)).dtype
    return total.astype(dtype)


def _combs(size: int, blocks: int) -> int | None:
    """How many combs an axis is cut into, each with every so many-th entry; None for blocks.

    On a mesh a block of an axis may lie on one device, and would be sent to the others. A comb has
    its teeth on all of them, where the axis is cut at all.
    """
    if not spans_devices():
        return None
    return next((n for n in range(blocks, 2 * blocks + 1) if size % n == 0), None)


def _zero(dtype, x: jax.Array) -> jax.Array:
    """0, known only when x is: a loop's result is not allocated before its turn."""
    return jnp.where(known(x), 0, 1).astype(dtype)


def _empty(shape, dtype, x: jax.Array) -> jax.Array:
    return jnp.broadcast_to(_zero(dtype, x), shape)


@quax.register(jax.lax.gather_p)
def _(leaf: Perturbed, index: ArrayLike, *, dimension_numbers, slice_sizes, mode, **params):
    """Whole entries of one axis (rows of an embedding): only their own noise is drawn."""
    how = dict(dimension_numbers=dimension_numbers, slice_sizes=slice_sizes, mode=mode, **params)
    leaf, index = leaf.settled(), jnp.asarray(index)
    axis = _gathered_axis(leaf, dimension_numbers, slice_sizes)
    z = None
    if axis is not None:
        last = leaf.base.shape[axis] - 1
        entries = index[..., 0].astype(jnp.promote_types(index.dtype, jnp.int32))
        inside = jnp.clip(entries, 0, last)
        z = leaf.recipe.draw_taken(axis, inside.astype(jnp.int32), leaf.base.shape, index)
    if z is None:
        return Perturbed.default(jax.lax.gather_p, [leaf, index], how)
    if mode is jax.lax.GatherScatterMode.FILL_OR_DROP:  # what is filled in is no entry of the leaf
        z = jnp.where((inside == entries).reshape(*entries.shape, *(1,) * (leaf.ndim - 1)), z, 0)
    offsets = dimension_numbers.offset_dims
    z = jnp.moveaxis(z, range(z.ndim - len(offsets), z.ndim), offsets)
    return leaf.shifted(jax.lax.gather_p.bind(leaf.base, index, **how), z)


def _gathered_axis(leaf: Perturbed, numbers, slice_sizes) -> int | None:
    if numbers.operand_batching_dims or len(numbers.start_index_map) != 1:
        return None
    (axis,) = numbers.start_index_map
    whole = (*leaf.base.shape[:axis], 1, *leaf.base.shape[axis + 1 :])
    if numbers.collapsed_slice_dims != (axis,) or tuple(slice_sizes) != whole:
        return None
    return axis
