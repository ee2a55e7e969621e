"""Gathered and scattered entries, and those that are found by comparing."""

from random import Random

import jax
import jax.numpy as jnp
import numpy as np

from tests.fuzz.arrays import axis_of, data, index, indices, normalized, small, soft, with_ndim


def take(w, u, dice: Random):
    """Entries of an axis, also from outside, by integers of several kinds."""
    del u
    if w.ndim == 0:
        return w
    axis = axis_of(w, dice)
    n = w.shape[axis]
    shape = dice.choice(((3,), (2, 2), (), (1,), (0,))) if n else (0,)
    mode = dice.choice(("clip", "fill", "wrap"))
    at = indices(n, shape, dice, outside=dice.choice((0, 2)))
    kind = dice.choice((jnp.int32, jnp.int32, jnp.int8, jnp.uint8, jnp.uint32))
    at = jnp.asarray(at.astype(np.int64).astype(kind))
    how = {"fill_value": 0.5} if mode == "fill" else {}
    return small(jnp.take(w, at, axis=axis, mode=mode, **how))


def rows(w, u, dice: Random):
    """W[ids] as of an embedding, then met by data."""
    del u
    if w.ndim == 0 or w.shape[0] == 0:
        return w
    ids = jnp.asarray(indices(w.shape[0], dice.choice(((3,), (2, 2))), dice))
    out = w[ids] if dice.random() < 0.5 else w.at[ids].get(mode="promise_in_bounds")
    return small(out)


def points(w, u, dice: Random):
    """Single entries, along several axes at once, or a mix of integers and slices."""
    del u
    if w.ndim < 2 or w.size == 0:
        return w
    shape = dice.choice(((3,), (2, 2)))
    at = [jnp.asarray(indices(n, shape, dice)) for n in w.shape]
    variants = [
        lambda: w[tuple(at)],
        lambda: w[tuple(at[:-1])],
        lambda: w[(slice(None), *at[1:])],
        lambda: w[(at[0], *[slice(None)] * (w.ndim - 2), at[-1])],
        lambda: w[jnp.asarray(indices(w.shape[0], (2,), dice))][:, dice.randrange(w.shape[1])],
    ]
    return small(dice.choice(variants)())


def mapped_rows(w, u, dice: Random):
    """Gathers that `vmap` makes: one table, or a table for each lane."""
    del u
    if w.ndim < 2 or w.size == 0:
        return w
    n, m = w.shape[:2]
    ids, own = jnp.asarray(indices(n, (2, 2), dice)), jnp.asarray(indices(m, (n, 3), dice))
    variants = [
        lambda: jax.vmap(lambda i: w[i])(ids),
        lambda: jax.vmap(jax.vmap(lambda i: jax.lax.dynamic_index_in_dim(w, i)))(ids),
        lambda: jax.vmap(lambda i: jax.lax.dynamic_slice_in_dim(w, i, 2))(ids[0]) if n > 1 else w,
        lambda: jax.vmap(lambda table, i: table[i])(w, own),
        lambda: jax.vmap(lambda table, i: jnp.take(table, i, axis=0))(w, own),
    ]
    return small(dice.choice(variants)())


def along_axis(w, u, dice: Random):
    """`take_along_axis` with indices of each row, and its counterpart."""
    del u
    if w.ndim == 0 or w.size == 0:
        return w
    axis = axis_of(w, dice)
    at = jnp.asarray(indices(w.shape[axis], w.shape, dice))
    if dice.random() < 0.6:
        return jnp.take_along_axis(w, at, axis)
    zeros = jnp.zeros_like(at) + jnp.arange(w.shape[axis]).reshape(
        [-1 if place == axis % w.ndim else 1 for place in range(w.ndim)]
    )
    return jnp.put_along_axis(data(w.shape, w, dice), zeros, w, axis, inplace=False)


def scatter(w, u, dice: Random):
    """Entries of a weight written over, and weights written into data."""
    del u
    if w.ndim == 0 or w.size == 0:
        return w
    n = w.shape[0]
    at = jnp.asarray(np.array(dice.sample(range(n), dice.randint(1, n)), np.int32))
    new = data((len(at), *w.shape[1:]), w, dice)
    repeated = jnp.asarray(indices(4, (n,), dice))
    base = data((5, *w.shape[1:]), w, dice)
    variants = [
        lambda: w.at[at].set(new),
        lambda: w.at[at].add(new),
        lambda: w.at[at].multiply(new),
        lambda: w.at[at].min(new),
        lambda: w.at[index(n, dice)].max(new[0]),
        lambda: w.at[at].apply(jnp.sin),
        lambda: base.at[repeated].add(w, mode=dice.choice(("drop", "clip"))),
        lambda: base.at[at].set(w[: len(at)]),
        lambda: jax.ops.segment_sum(w, repeated, num_segments=4),
    ]
    return soft(dice.choice(variants)())


def one_hot(w, u, dice: Random):
    """Rows found by a product."""
    del u
    if w.ndim == 0 or w.shape[0] == 0:
        return w
    picked = jax.nn.one_hot(indices(w.shape[0], (3,), dice), w.shape[0], dtype=w.dtype)
    return jnp.tensordot(picked, w, 1)


def largest(w, u, dice: Random):
    """What comparing finds: where the largest is, or several."""
    del u
    if w.ndim == 0 or w.size == 0:
        return w
    axis = axis_of(w, dice)
    variants = [
        lambda: jnp.take_along_axis(w, jnp.argmax(w, axis, keepdims=True), axis),
        lambda: w.reshape(-1)[jnp.argmin(w)],
        lambda: jax.lax.top_k(w, min(2, w.shape[-1]))[0],
        lambda: jnp.max(w, axis),
        lambda: jnp.where(w == w.max(), w, w.max()),
        lambda: jnp.quantile(w.astype(jnp.float32), 0.3, axis=axis).astype(w.dtype),
        lambda: jnp.median(w, axis),
    ]
    return dice.choice(variants)()


def order(w, u, dice: Random):
    """Sorted, alone or along with what is sorted by it."""
    del u
    if w.ndim == 0:
        return w
    axis = axis_of(w, dice)
    variants = [
        lambda: jnp.sort(w, axis),
        lambda: jnp.sort(w, axis, descending=True),
        lambda: jnp.take_along_axis(w, jnp.argsort(w, axis), axis),
        lambda: jax.lax.sort((w, w), dimension=axis % w.ndim, num_keys=1)[1],
        lambda: jnp.sort(jnp.sort(w, axis), -1),
    ]
    return dice.choice(variants)()


def table(w, u, dice: Random):
    """A weight as a table that numbers are looked up in, between its entries."""
    del u
    w = with_ndim(w, 1, dice)
    if w.size == 0:
        return w
    x = jnp.linspace(-1.0, 2.0, 5)
    return normalized(jnp.interp(x, jnp.linspace(0.0, 1.0, w.size), w.astype(x.dtype)), 1)


ALL = (
    take, take, rows, rows, points, mapped_rows, along_axis, scatter, one_hot, largest, order,
    table,
)  # fmt: skip
