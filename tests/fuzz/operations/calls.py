"""Functions with rules of their own, derivatives, the host, and keys."""

from random import Random

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import numpy as np

from tests.fuzz.arrays import data, index, normalized, promoted, soft, with_ndim


def custom_derivative(w, u, dice: Random):
    """`custom_jvp`, `custom_vjp` and `custom_gradient`, around a product or an entry by entry."""
    del u
    w = with_ndim(w, 2, dice)
    x = data((2, w.shape[0]), w, dice)

    def layer(x, q):
        return jnp.sin(x @ q)

    by_jvp = jax.custom_jvp(layer)
    by_jvp.defjvp(lambda primals, tangents: (layer(*primals), layer(*tangents)))
    by_vjp = jax.custom_vjp(layer)
    by_vjp.defvjp(lambda x, q: (layer(x, q), (x, q)), lambda kept, _: kept)
    static = jax.custom_vjp(lambda n, q: n * jnp.sin(q), nondiff_argnums=(0,))
    static.defvjp(lambda n, q: (n * jnp.sin(q), ()), lambda n, kept, c: (c,))
    variants = [
        lambda: by_jvp(x, w),
        lambda: by_vjp(x, w),
        lambda: static(2, w),
        lambda: jax.custom_gradient(lambda q: (jnp.cos(q), lambda c: c))(w),
        lambda: jax.nn.silu(jax.nn.relu(w)) + jax.nn.gelu(w) + jax.nn.log_softmax(w),
        lambda: jax.lax.scan(lambda x, _: (by_vjp(x, w).sum() + x, None), x, length=2)[0],
        lambda: jax.vmap(by_jvp, (None, 0))(x, w[None]),
    ]
    return normalized(dice.choice(variants)(), w.shape[0])


def custom_batching(w, u, dice: Random):
    """`custom_vmap`, met by the lanes of the evaluation and by those of the loss."""
    w, u = promoted(w, u)
    total = u.sum()

    @jax.custom_batching.custom_vmap
    def scaled(q, t):
        return jnp.sin(q) * t

    @scaled.def_vmap
    def _scaled(axis_size, batched, q, t):
        q = q if batched[0] else jnp.broadcast_to(q, (axis_size, *q.shape))
        t = t if batched[1] else jnp.broadcast_to(t, (axis_size, *t.shape))
        return jax.vmap(lambda q, t: jnp.sin(q) * t)(q, t), True

    if w.ndim and dice.random() < 0.4:
        return soft(jax.vmap(scaled, (0, None))(w, total))
    return soft(scaled(w, total))


def linear_solve(w, u, dice: Random):
    """`custom_linear_solve`, by hand and in `cg`: a weight in the operator, or on the right."""
    del u
    w = with_ndim(w, 2, dice)
    if w.size == 0:
        return w
    n, dtype = w.shape[0], jnp.promote_types(w.dtype, jnp.float32)
    q = w.astype(dtype) / (1 + jnp.sum(jnp.abs(w.astype(dtype)) ** 2))
    b = data((n,), q, dice)

    def matvec(x):
        return 2 * x + q @ (q.T @ x)

    def solve(matvec, b):
        x = b / 2
        for _ in range(2):
            x = x + (b - matvec(x)) / 3
        return x

    operator = lambda x: 2 * x  # noqa: E731
    half = lambda matvec, b: b / 2  # noqa: E731
    variants = [
        lambda: jax.lax.custom_linear_solve(matvec, b, solve, symmetric=True),
        lambda: jax.lax.custom_linear_solve(operator, w.astype(dtype)[:, 0], half, symmetric=True),
        lambda: jax.scipy.sparse.linalg.cg(matvec, b, maxiter=2)[0],
    ]
    return soft(dice.choice(variants)())


def differentiated(w, u, dice: Random):
    """Derivatives inside the loss: by data, by the weight, forward and backward."""
    del u
    w = with_ndim(w, 2, dice)
    x = data((w.shape[0],), w, dice)

    def energy(x, q):
        return jnp.sum(jnp.sin(x @ q))

    variants = [
        lambda: jax.grad(energy)(x, w),
        lambda: jax.grad(energy, 1)(x, w),
        lambda: jax.jvp(lambda q: energy(x, q), (w,), (jnp.ones_like(w),))[1],
        lambda: jax.jvp(lambda x: x @ w, (x,), (jnp.cos(x),))[1],
        lambda: jax.jacfwd(lambda x: jnp.sin(x @ w))(x),
        lambda: jax.hessian(energy)(x, w),
        lambda: jax.linearize(lambda x: jnp.sin(x @ w), x)[1](x),
        lambda: jax.linear_transpose(lambda x: x @ w, x)(x @ w)[0],
        lambda: jax.value_and_grad(lambda q: jax.lax.scan(
            lambda x, _: (jnp.sin(x * q.sum()), None), x, length=2)[0].sum())(w)[0],
        lambda: jax.grad(jax.checkpoint(lambda q: energy(x, q)))(w),
    ]  # fmt: skip
    return normalized(dice.choice(variants)(), w.size)


def marked(w, u, dice: Random):
    """What only marks a value: barriers, names, a stop for derivatives."""
    w, u = promoted(w, u)
    variants = [
        lambda: jax.lax.optimization_barrier(w),
        lambda: jax.lax.optimization_barrier((w, u))[0],
        lambda: jax.lax.optimization_barrier((jnp.arange(3), w))[1],
        lambda: jax.lax.stop_gradient(w),
        lambda: jax.ad_checkpoint.checkpoint_name(w, "weight"),
        lambda: jax.lax.reduce_precision(w, 8, 7),
        lambda: jnp.copy(w),
        lambda: jax.tree.map(jnp.asarray, {"w": w})["w"],
    ]
    return dice.choice(variants)()


def composite(w, u, dice: Random):
    """`lax.composite`, which JAX itself cannot batch."""
    del u, dice
    return jax.lax.composite(lambda q: jnp.sin(q), name="fuzz.sine")(w)


def host(w, u, dice: Random):
    """`pure_callback`, batched in each of its ways, and a callback that only looks."""
    del u
    method = dice.choice(("sequential", "expand_dims", "broadcast_all", "sequential_unrolled"))
    like = jax.ShapeDtypeStruct(w.shape, w.dtype)
    if dice.random() < 0.2:
        jax.debug.callback(lambda q: None, w)
        return w
    sine = lambda q: np.sin(np.asarray(q, np.float64)).astype(w.dtype)  # noqa: E731
    return jax.pure_callback(sine, like, w, vmap_method=method)


def host_alone(w, u, dice: Random):
    """`pure_callback` that does not say how it is batched."""
    del u, dice
    like = jax.ShapeDtypeStruct(w.shape, w.dtype)
    sine = lambda q: np.sin(np.asarray(q, np.float64)).astype(w.dtype)  # noqa: E731
    return jax.pure_callback(sine, like, w)


def keys(w, u, dice: Random):
    """Typed keys that pass through the same loops and branches as a weight."""
    del u
    key = jax.random.key(dice.randrange(9))
    noise = lambda key, q: jax.random.uniform(key, q.shape, q.dtype)  # noqa: E731

    def turn(carry, _):
        key, q = carry
        key, own = jax.random.split(key)
        return (key, jnp.sin(q + noise(own, q))), None

    where = index(2, dice) == 1
    many = jax.random.split(key, 3)
    variants = [
        lambda: w + noise(key, w),
        lambda: jax.lax.scan(turn, (key, w), length=2)[0][1],
        lambda: jax.lax.cond(where, lambda k, q: q + noise(k, q), lambda k, q: 2 * q, key, w),
        lambda: jax.lax.fori_loop(0, 2, lambda i, c: turn(c, None)[0], (key, w))[1],
        lambda: jnp.where(jax.random.bernoulli(key, 0.5, w.shape), w, 0),
        lambda: jax.vmap(lambda k: w * noise(k, w))(many)[1],
        lambda: noise(jnp.where(where, many[0], many[1]), w) * w,
        lambda: jax.lax.scan(lambda x, k: (x + noise(k, x) * w, None), jnp.zeros_like(w), many)[0],
        lambda: jax.jit(lambda k, q: q * noise(k, q))(key, w),
        lambda: jax.random.permutation(key, w) if w.ndim else w,
        lambda: jax.checkpoint(lambda k, q: q * noise(k, q))(key, w),
    ]
    return soft(dice.choice(variants)())


def key_and_weight(w, u, dice: Random):
    """A key and a weight as operands of one primitive."""
    del u
    key = jax.random.key(dice.randrange(9))
    key, w = jax.lax.optimization_barrier((key, w))
    return soft(w + jax.random.uniform(key, w.shape, w.dtype))


ALL = (
    custom_derivative, custom_batching, linear_solve, differentiated, marked, composite, host,
    host_alone, keys, keys, key_and_weight,
)  # fmt: skip
