"""Parts of a weight, and other ways of looking at one."""

from random import Random

import jax
import jax.numpy as jnp

from tests.fuzz.arrays import SIZES, axis_of, broadcastable, data, index, promoted, small, soft


def static_slice(w, u, dice: Random):
    """`lax.slice`, with strides; now and then empty."""
    del u
    starts, limits, strides = [], [], []
    for n in w.shape:
        first = dice.randint(0, n)
        starts.append(first)
        limits.append(dice.randint(first, n) if dice.random() < 0.5 else n)
        strides.append(dice.choice((1, 1, 2, 3)))
    return jax.lax.slice(w, starts, limits, dice.choice((None, strides)))


def plain_slice(w, u, dice: Random):
    """`lax.slice` that is not empty unless the weight is."""
    del u
    starts = [dice.randrange(max(n, 1)) for n in w.shape]
    limits = [dice.randint(min(s + 1, n), n) for s, n in zip(starts, w.shape, strict=True)]
    strides = [dice.choice((1, 1, 2, 3)) for _ in w.shape]
    return jax.lax.slice(w, starts, limits, dice.choice((None, strides)))


def subscript(w, u, dice: Random):
    """W[i, a:b, None, ..., ::-1] with all that NumPy has."""
    del u
    key = []
    for n in w.shape:
        part = dice.choice(("all", "all", "int", "slice", "step", "back", "new"))
        if part == "new":
            key.append(None)
        if part == "int" and n:
            key.append(dice.randrange(-n, n))
        elif part == "slice":
            key.append(slice(dice.randint(-n, n), None if dice.random() < 0.5 else n))
        elif part == "step":
            key.append(slice(dice.randrange(n + 1), None, dice.choice((2, 3))))
        elif part == "back":
            key.append(slice(None, None, -1))
        else:
            key.append(slice(None))
    if dice.random() < 0.3:
        key.append(Ellipsis)
    return w[tuple(key)]


def layer(w, u, dice: Random):
    """One entry of the first axis, by a number that the program works out or knows."""
    del u
    if w.ndim == 0 or w.shape[0] == 0:
        return w
    n = w.shape[0]
    variants = [
        lambda: w[dice.randrange(-n, n)],
        lambda: w[index(n, dice)],
        lambda: jax.lax.dynamic_index_in_dim(w, index(n, dice) * 7 - 3, 0, keepdims=False),
        lambda: jax.lax.dynamic_index_in_dim(w, index(n, dice, jnp.uint8), 0),
    ]
    return dice.choice(variants)()


def dynamic_slice(w, u, dice: Random):
    """From indices that the program works out, some of them outside."""
    del u
    sizes = [dice.choice((n, dice.randint(0, n))) for n in w.shape]
    none = jnp.int32(0)
    starts = [
        index(n + 2, dice) - 1 if s < n else none for s, n in zip(sizes, w.shape, strict=True)
    ]
    return jax.lax.dynamic_slice(w, starts, sizes)


def update_slice(w, u, dice: Random):
    """A part of a weight replaced, or a weight as the part."""
    if w.ndim == 0:
        return w + 1
    part = data([dice.randint(0, n) for n in w.shape], w, dice)
    whole = data([n + 1 for n in w.shape], w, dice)
    starts = [index(n, dice) for n in w.shape]
    both = dice.random() < 0.5
    return jax.lax.dynamic_update_slice(*((w, part) if both else (whole, w)), starts)


def reshape(w, u, dice: Random):
    """Axes joined, cut, and of length 1."""
    del u
    shape = list(w.shape)
    change = dice.choice(("flat", "join", "cut", "ones", "column"))
    if change == "flat":
        shape = [w.size]
    elif change == "column":
        shape = [w.size, 1]
    elif change == "join" and len(shape) > 1:
        at = dice.randrange(len(shape) - 1)
        shape[at : at + 2] = [shape[at] * shape[at + 1]]
    elif change == "cut" and shape:
        at = dice.randrange(len(shape))
        for factor in (2, 3):
            if shape[at] % factor == 0:
                shape[at : at + 1] = [factor, shape[at] // factor]
                break
    else:
        shape = [n for n in shape if n != 1]
        for _ in range(dice.randrange(3)):
            shape.insert(dice.randint(0, len(shape)), 1)
    return small(jnp.reshape(w, shape))


def unit_axes(w, u, dice: Random):
    """Axes of length 1, inserted and dropped."""
    del u
    w = jnp.expand_dims(w, dice.randint(-1, w.ndim))
    ones = [axis for axis, n in enumerate(w.shape) if n == 1]
    if dice.random() < 0.5:
        w = jnp.squeeze(w, dice.choice(ones))
    return small(w)


def permute(w, u, dice: Random):
    """Transposes."""
    del u
    if w.ndim < 2:
        return w.T
    a, b = dice.sample(range(w.ndim), 2)
    variants = [
        lambda: w.T,
        lambda: jnp.transpose(w, dice.sample(range(w.ndim), w.ndim)),
        lambda: jnp.moveaxis(w, a, b),
        lambda: jnp.swapaxes(w, a, b - w.ndim),
        lambda: jnp.rollaxis(w, a),
    ]
    return dice.choice(variants)()


def repeat(w, u, dice: Random):
    """Entries that stand there several times."""
    del u
    n = dice.choice(SIZES)
    variants = [
        lambda: jnp.broadcast_to(w, (n, *w.shape)),
        lambda: jax.lax.broadcast_in_dim(w, (*w.shape, n), tuple(range(w.ndim))),
        lambda: jax.lax.broadcast(w, (1, n)),
        lambda: jnp.tile(w, n),
        lambda: jnp.repeat(w, n, axis=axis_of(w, dice)) if w.ndim else w,
        lambda: jnp.broadcast_to(w, (1, *w.shape)),
    ]
    return small(dice.choice(variants)())


def split(w, u, dice: Random):
    """One piece, or all of them put together in another way."""
    del u
    if w.ndim == 0:
        return w
    axis = axis_of(w, dice)
    n = w.shape[axis]
    cuts = sorted(dice.randint(0, n) for _ in range(dice.choice((1, 2))))
    pieces = jnp.split(w, cuts, axis)
    if dice.random() < 0.5:
        return dice.choice(pieces)
    return jnp.concatenate(pieces[::-1], axis)


def unpack(w, u, dice: Random):
    """A loop of Python over the layers of a stack."""
    del u
    if w.ndim == 0:
        return w
    parts = [jnp.sin(part) * (place + 1) for place, part in enumerate(w)]
    return soft(sum(parts)) if parts else jnp.zeros(w.shape[1:], w.dtype)


def join(w, u, dice: Random):
    """A weight side by side with itself, data or another value."""
    w, u = promoted(w, u)
    if w.ndim == 0:
        return jnp.stack([w, 2 * w, u.sum()])
    axis = axis_of(w, dice)
    other = u if u.shape == w.shape else data(w.shape, w, dice)
    parts = dice.choice(([w, w], [other, w], [w, other, 2 * w]))
    return small(dice.choice((jnp.concatenate, jnp.stack))(parts, axis))


def surround(w, u, dice: Random):
    """Padded, rolled, reversed, cut to a triangle."""
    del u
    if w.ndim == 0:
        return w
    axis = axis_of(w, dice)
    edges = [(dice.randint(-1, 2), dice.randrange(2), dice.randrange(2)) for _ in w.shape]
    variants = [
        lambda: jax.lax.pad(w, jnp.ones((), w.dtype), edges) if w.size else w,
        lambda: jnp.pad(w, 1, mode="edge" if w.size else "constant"),
        lambda: jnp.roll(w, dice.randint(-3, 3), axis),
        lambda: jnp.flip(w, axis),
        lambda: jnp.tril(w, dice.randint(-1, 1)) if w.ndim > 1 else w,
        lambda: jnp.diag(w[:4]) if w.ndim == 1 else jnp.diagonal(w),
        lambda: jax.lax.rev(w, (axis % w.ndim,)),
    ]
    return small(dice.choice(variants)())


def empty_meets_data(w, u, dice: Random):
    """A contraction in which an axis is empty."""
    del u
    if w.ndim == 0:
        return w
    last = w.shape[-1]
    variants = [
        lambda: (
            data((0, w.shape[0]), w, dice) @ w.reshape(w.shape[0], w.size // w.shape[0])
            if w.size
            else w
        ),
        lambda: jnp.tensordot(data((2, 0), w, dice), w[:0], 1),
        lambda: w[..., :0] @ data((0, 3), w, dice),
        lambda: jnp.inner(data((2, last), w, dice), w[last:]),
    ]
    return small(dice.choice(variants)())


def select(w, u, dice: Random):
    """`where` and `select_n`, of weights and data."""
    w, u = promoted(w, u)
    u = broadcastable(w, u)
    mask = jnp.sin(jnp.arange(w.size)).reshape(w.shape) > 0.1
    variants = [
        lambda: jnp.where(mask, w, u),
        lambda: jnp.where(mask, w, 0),
        lambda: jnp.where(w > u, w, u),
        lambda: jnp.where(w > 0, w, -0.5 * w),
        lambda: jnp.select([mask, w > 0.2], [w, jnp.full_like(w, 0.2)], jnp.minimum(w, 0.2)),
    ]
    return small(dice.choice(variants)())


ALL = (
    static_slice, plain_slice, plain_slice, subscript, layer, dynamic_slice, update_slice, reshape,
    unit_axes, permute, repeat, split, unpack, join, surround, empty_meets_data, select,
)  # fmt: skip
