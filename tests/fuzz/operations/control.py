"""Loops, branches and calls that a weight goes into, or comes out of."""

from random import Random

import jax
import jax.numpy as jnp

from tests.fuzz.arrays import (
    broadcastable,
    data,
    index,
    normalized,
    promoted,
    soft,
    with_ndim,
)  # fmt: skip


def _layer(x, q, back):
    """(rows, m) -> (rows, m) through a matrix (m, n), and data (n, m)."""
    return jnp.sin(x + (x @ q) @ back)


def _parts(w, dice: Random, axes: int = 2):
    """A weight as a matrix, or a stack of them, with data for a layer of it."""
    w = with_ndim(w, axes, dice)
    x = data((2, w.shape[-2]), w, dice)
    return w, x, data((w.shape[-1], w.shape[-2]), w, dice)


def scan_stack(w, u, dice: Random):
    """Over the layers of a stack, from either end."""
    del u
    w, x, back = _parts(w, dice, 3)
    how = {"reverse": dice.random() < 0.4, "unroll": dice.choice((1, 1, 2))}

    def body(x, q):
        x = _layer(x, q, back)
        return x, x.sum()

    x, sums = jax.lax.scan(body, x, w, **how)
    return normalized(jnp.append(x.reshape(-1), sums), x.size)


def scan_constant(w, u, dice: Random):
    """A weight that every turn reads; it is closed over."""
    del u
    w, x, back = _parts(w, dice)
    steps = data((3,), w, dice)
    x, _ = jax.lax.scan(lambda x, step: (_layer(x, w, back) + step.astype(x.dtype), None), x, steps)
    return normalized(x, w.shape[0])


def scan_carried(w, u, dice: Random):
    """A weight that the loop changes, or only carries along."""
    del u
    changes = dice.random() < 0.5
    start = w if dice.random() < 0.7 else (2 * w)

    def body(carry, step):
        q, total = carry
        total = total + step * q.sum()
        return (jnp.sin(q) + step if changes else q, total), total

    zero = jnp.zeros((), w.dtype)
    (q, total), totals = jax.lax.scan(body, (start, zero), data((3,), w, dice))
    return soft(jnp.append(jnp.append(q.reshape(-1)[:20], total), totals))


def scan_nested(w, u, dice: Random):
    """A loop over a stack of stacks, or over a stack again and again."""
    del u
    if dice.random() < 0.5:
        w, x, back = _parts(w, dice, 4)
        inner = lambda x, q: (_layer(x, q, back), None)  # noqa: E731
        x, _ = jax.lax.scan(lambda x, qs: jax.lax.scan(inner, x, qs), x, w)
    else:
        w, x, back = _parts(w, dice, 3)
        inner = lambda x, q: (_layer(x, q, back), None)  # noqa: E731
        turn = lambda x, _: (jax.lax.scan(inner, x, w)[0], None)  # noqa: E731
        x, _ = jax.lax.scan(turn, x, length=2)
    return normalized(x, w.shape[-1])


def scan_mixed(w, u, dice: Random):
    """One weight as a stack, another as a constant, in one loop; results stacked."""
    w, x, back = _parts(w, dice, 3)
    bias = u.reshape(-1)[:1].sum().astype(w.dtype)
    others = jnp.arange(w.shape[0])
    if dice.random() < 0.3:
        w, others = w[::-1], others + 1

    def body(x, both):
        q, number = both
        return _layer(x, q, back) + bias, (q * bias, number * x.sum())

    x, (stack, sums) = jax.lax.scan(body, x, (w, others))
    return soft(jnp.concatenate([x.reshape(-1), stack.reshape(-1)[:20], sums.astype(w.dtype)]))


def loop(w, u, dice: Random):
    """`while_loop` and `fori_loop`: a weight in the body, the condition, or carried."""
    del u
    w, x, back = _parts(w, dice)
    zero = jnp.int32(0)
    variants = [
        lambda: jax.lax.fori_loop(0, 2, lambda i, x: _layer(x, w, back) * (i + 1), x),
        lambda: jax.lax.while_loop(
            lambda c: c[0] < 2, lambda c: (c[0] + 1, _layer(c[1], w, back)), (zero, x)
        )[1],
        lambda: jax.lax.while_loop(
            lambda c: (c[0] < 2) & (jnp.abs(w).sum() < 1e4),
            lambda c: (c[0] + 1, c[1] + 1),
            (zero, x),
        )[1],
        lambda: jax.lax.while_loop(
            lambda c: c[0] < 2, lambda c: (c[0] + 1, jnp.sin(c[1])), (zero, w)
        )[1],
        lambda: jax.lax.fori_loop(0, index(3, dice), lambda i, q: jnp.cos(q), w),
        lambda: jax.lax.fori_loop(0, 3, lambda i, c: (c[1], c[0]), (w, data(w.shape, w, dice)))[0],
    ]
    return normalized(dice.choice(variants)(), w.shape[0])


def branch(w, u, dice: Random):
    """`cond`: by data or by a weight, of weights closed over or passed in, or returned."""
    w, x, back = _parts(w, dice)
    w, u = promoted(w, u)
    x, back = x.astype(w.dtype), back.astype(w.dtype)
    where = index(2, dice) == 1
    other = data(w.shape, w, dice)
    variants = [
        lambda: jax.lax.cond(where, lambda: _layer(x, w, back), lambda: 2 * x),
        lambda: jax.lax.cond(where, lambda q: _layer(x, q, back), lambda q: x * q.sum(), w),
        lambda: jax.lax.cond(where, lambda: w, lambda: other),
        lambda: jax.lax.cond(where, lambda q: q, lambda q: q * 2, w),
        # By its sign: continuous, as both give 0 there.
        lambda: jax.lax.cond(w.sum() > 0, lambda: w.sum() * x, lambda: -w.sum() * x),
        lambda: jax.lax.cond(u.sum() > 0, lambda q: u.sum() * q, lambda q: -u.sum() * q, w),
        lambda: jax.lax.cond(where, lambda q, p: (q, p), lambda q, p: (p, q), w, other)[0],
    ]
    return normalized(dice.choice(variants)(), w.shape[0])


def switch(w, u, dice: Random):
    """One of several branches, some of which read the weight; under `vmap` all of them."""
    w, x, back = _parts(w, dice)
    cases = [lambda x: _layer(x, w, back), jnp.cos, lambda x: x * w.sum().astype(x.dtype)]
    if dice.random() < 0.6:
        return soft(jax.lax.switch(index(4, dice) - 0, cases, x))
    many = jnp.stack([index(3, dice), index(3, dice)])
    return soft(jax.vmap(lambda i: jax.lax.switch(i, cases, x))(many))


def mapped(w, u, dice: Random):
    """`lax.map`, `vmap` of a loop, `associative_scan`."""
    w, u = promoted(w, u)
    u = broadcastable(w, u)
    if w.ndim == 0 or w.size == 0:
        return w
    total = u.sum()
    variants = [
        lambda: jax.lax.map(lambda q: jnp.sin(q) * total, w),
        lambda: jax.lax.map(lambda q: jnp.sin(q) + q.sum(), w, batch_size=2),
        lambda: jax.vmap(
            lambda q: jax.lax.scan(lambda x, _: (jnp.sin(x + q.sum()), None), total, length=2)[0]
        )(w),
        lambda: jax.lax.associative_scan(jnp.add, w),
        lambda: (
            jnp.vectorize(lambda q, t: q * t, signature="(n),()->(n)")(w, total)
            if w.ndim > 0
            else w
        ),
    ]
    return normalized(dice.choice(variants)(), w.size)


def called(w, u, dice: Random):
    """Nested jits, rematerialization, and both in loops."""
    w, x, back = _parts(w, dice)
    w, u = promoted(w, u)
    x, back = x.astype(w.dtype), back.astype(w.dtype)
    once = lambda x, q: _layer(x, q, back)  # noqa: E731
    policy = jax.checkpoint_policies.dots_saveable
    variants = [
        lambda: jax.jit(once)(x, w),
        lambda: jax.jit(lambda q: jax.jit(once)(x, q) + q.sum())(w),
        lambda: jax.checkpoint(once)(x, w),
        lambda: jax.checkpoint(lambda x: once(x, w), policy=policy)(x),
        lambda: jax.lax.scan(jax.checkpoint(lambda x, _: (once(x, w), None)), x, length=2)[0],
        lambda: jax.checkpoint(
            lambda q: jax.lax.scan(lambda x, _: (once(x, q), None), x, length=2)[0]
        )(w),
        lambda: jax.jit(lambda q, p: (q, p))(w, u)[0],
        lambda: jax.named_call(once, name="layer")(x, w),
    ]
    return normalized(dice.choice(variants)(), w.shape[0])


ALL = (
    scan_stack, scan_stack, scan_constant, scan_carried, scan_nested, scan_mixed, loop, branch,
    switch, mapped, called,
)  # fmt: skip
