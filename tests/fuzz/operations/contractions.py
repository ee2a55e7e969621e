"""Where a weight meets data, or another weight, in a product."""

from random import Random

import jax
import jax.numpy as jnp

from tests.fuzz.arrays import SIZES, data, normalized, promoted, small, soft, with_ndim


def contract(w, u, dice: Random):
    """dot_general with data: any axes in any order, on either side."""
    del u
    axes = dice.sample(range(w.ndim), w.ndim)
    summed = axes[: dice.choice((0, 1, 1, 1, 2))]
    batch = axes[len(summed) :][: dice.choice((0, 0, 1))]
    own = [dice.choice(SIZES) for _ in range(dice.randrange(3))]
    sizes = [*(w.shape[axis] for axis in (*summed, *batch)), *own]
    order = dice.sample(range(len(sizes)), len(sizes))
    x = data([sizes[place] for place in order], w, dice)
    of_x = [order.index(place) for place in range(len(summed) + len(batch))]
    sums, batches = (of_x[: len(summed)], summed), (of_x[len(summed) :], batch)
    wide = jnp.promote_types(w.dtype, jnp.float32)
    how = {"preferred_element_type": dice.choice((None, None, wide))}
    if dice.random() < 0.5:
        out = jax.lax.dot_general(x, w, (sums, batches), **how)
    else:
        out = jax.lax.dot_general(w, x, (sums[::-1], batches[::-1]), **how)
    return normalized(out, sizes[0] if summed else 1)


def contract_two(w, u, dice: Random):
    """dot_general of two values (perhaps of one with itself) over axes of one length."""
    w, u = promoted(w, u)
    pairs = [(a, b) for a in range(w.ndim) for b in range(u.ndim) if w.shape[a] == u.shape[b]]
    dice.shuffle(pairs)
    chosen = []
    for a, b in pairs:
        if all(a != c and b != d for c, d in chosen):
            chosen.append((a, b))
    summed = chosen[: dice.choice((1, 1, 2))]
    batch = chosen[len(summed) :][: dice.randrange(2)]
    if not summed:
        w, u = small(w.reshape(-1)[:9]), small(u.reshape(-1)[:9])
        return soft(jnp.outer(w, u))
    numbers = tuple(tuple(zip(*part, strict=True)) or ((), ()) for part in (summed, batch))
    return normalized(jax.lax.dot_general(w, u, numbers), w.shape[summed[0][0]])


def with_itself(w, u, dice: Random):
    """W @ W, W @ Wᵀ and the like."""
    del u
    w = with_ndim(w, 2, dice)
    square = [lambda: w @ w] if w.shape[0] == w.shape[1] else []
    variants = [
        lambda: w @ w.T,
        lambda: w.T @ w,
        lambda: jnp.einsum("ij,ij->i", w, w),
        lambda: jnp.einsum("ij,kj->ki", w, w),
        lambda: data((2, w.shape[0]), w, dice) @ w @ w.T,
        *square,
    ]
    return normalized(dice.choice(variants)(), max(w.shape))


def used_twice(w, u, dice: Random):
    """One weight in two layers, as tied embeddings are."""
    del u
    w = with_ndim(w, 2, dice)
    x = jnp.tanh(data((3, w.shape[0]), w, dice) @ w)
    return normalized(x @ w.T + (x @ w.T)[:, ::-1], w.size)


def einsum(w, u, dice: Random):
    """Letters of the weight, some shared with data, the result in any order."""
    del u
    letters = "abcdefgh"[: w.ndim]
    shared = dice.sample(letters, dice.randint(0, w.ndim))
    own = dice.sample("xyz", dice.randrange(3))
    of_x = dice.sample([*shared, *own], len(shared) + len(own))
    kept = [letter for letter in (*letters, *own) if dice.random() < 0.6]
    dice.shuffle(kept)
    sizes = dict(zip(letters, w.shape, strict=True))
    x = data([sizes.get(letter, 2) for letter in of_x], w, dice)
    of_x = "".join(of_x)
    terms = (f"{of_x},{letters}", x, w) if dice.random() < 0.5 else (f"{letters},{of_x}", w, x)
    out = jnp.einsum(f"{terms[0]}->{''.join(kept)}", *terms[1:])
    return small(normalized(out, max(x.size * w.size // max(out.size, 1), 1)))


def matmul(w, u, dice: Random):
    """What NumPy calls products."""
    del u
    if w.ndim == 0:
        return soft(data((3,), w, dice) * w)
    inner = w.shape[-2] if w.ndim > 1 else w.shape[0]
    last = w.shape[-1]
    variants = [
        lambda: data((3, inner), w, dice) @ w,
        lambda: data((inner,), w, dice) @ w,
        lambda: w @ data((last,), w, dice),
        lambda: w @ data((last, 2), w, dice),
        lambda: jnp.matmul(data((2, 1, 3, inner), w, dice), w) if w.ndim < 4 else w.sum(),
        lambda: jnp.inner(data((2, last), w, dice), w),
        lambda: jnp.tensordot(w, data((2, last), w, dice), ((-1,), (-1,))),
        lambda: jnp.vdot(w, data(w.shape, w, dice)),
        lambda: jnp.kron(w, data((2,), w, dice)),
    ]
    return normalized(dice.choice(variants)(), max(inner, last))


def stacked(w, u, dice: Random):
    """`vmap` over an axis of a weight, of a product with data that is mapped too or shared."""
    del u
    w = with_ndim(w, 3, dice)
    axis, out_axis = dice.randrange(3), dice.randrange(2)
    first = next(n for place, n in enumerate(w.shape) if place != axis)
    mapped = dice.random() < 0.5
    x = data((w.shape[axis], 2, first) if mapped else (2, first), w, dice)
    if w.shape[axis] == 0:
        return w
    out = jax.vmap(lambda x, q: jnp.sin(x @ q), (0 if mapped else None, axis), out_axis)(x, w)
    return normalized(out, first)


def experts(w, u, dice: Random):
    """All rows of data go to all matrices of a stack, and a gate weighs the results."""
    del u
    w = with_ndim(w, 3, dice)
    x, gate = data((5, w.shape[1]), w, dice), data((5, w.shape[0]), w, dice)
    return normalized(jnp.einsum("ti,eij,te->tj", x, w, gate), w.shape[0] * w.shape[1])


def ragged(w, u, dice: Random):
    """Rows of data go to one matrix of a stack each; JAX can batch it along one axis alone."""
    del u
    w = with_ndim(w, 3, dice)
    counts = [dice.randrange(3) for _ in range(w.shape[0])]
    if w.size == 0:
        return w
    x = data((sum(counts) + 1, w.shape[1]), w, dice)
    return normalized(jax.lax.ragged_dot(x, w, jnp.array(counts, jnp.int32)), w.shape[1])


def convolve(w, u, dice: Random):
    """A weight as the kernel, or as the image."""
    del u
    axes = dice.choice((1, 2))
    layout = ("NHWC", "HWIO", "NHWC") if axes == 2 else ("NWC", "WIO", "NWC")
    w = with_ndim(w, axes + 2, dice)
    if w.size == 0:
        return w
    if dice.random() < 0.7:
        groups = dice.choice((1, 1, w.shape[-1]))
        channels = w.shape[-2] * groups
        image = data((2, *(4,) * axes, channels), w, dice)
        kernel = w
    else:
        groups, image = 1, w
        kernel = data((*(2,) * axes, w.shape[-1], 2), w, dice)
    out = jax.lax.conv_general_dilated(
        image,
        kernel,
        window_strides=(dice.choice((1, 2)),) * axes,
        padding="SAME",
        dimension_numbers=layout,
        feature_group_count=groups,
    )
    return small(normalized(out, kernel.size))


ALL = (
    contract, contract_two, with_itself, used_twice, einsum, matmul, stacked, experts, ragged,
    convolve,
)  # fmt: skip
