"""Arithmetic: entry by entry, reduced, in other dtypes, and of whole matrices."""

from random import Random

import jax
import jax.numpy as jnp

from tests.fuzz.arrays import (
    broadcastable,
    data,
    normalized,
    promoted,
    small,
    soft,
    with_ndim,
)  # fmt: skip

_UNARY = (
    jnp.sin, jnp.tanh, jnp.abs, jnp.square, jax.nn.softplus, jax.lax.logistic, jax.lax.erf,
    lambda w: -w, lambda w: 2 * w, lambda w: w / 3, lambda w: jnp.exp(-jnp.abs(w)),
    lambda w: jax.lax.integer_pow(w, 3), lambda w: jnp.sqrt(1 + w * w),
    lambda w: jnp.clip(w, -1, 1),
    lambda w: jnp.log1p(jnp.abs(w)), lambda w: jnp.abs(w - jnp.round(w)),
)  # fmt: skip
_BINARY = (
    jnp.add, jnp.subtract, jnp.multiply, jnp.maximum, jnp.minimum, jnp.hypot,
    lambda w, u: w / (2 + jnp.abs(u)), lambda w, u: jnp.logaddexp(w, u),
    lambda w, u: jnp.arctan2(w, 1 + jnp.abs(u)), lambda w, u: jnp.abs(jax.lax.complex(*wide(w, u))),
)  # fmt: skip


def wide(*arrays):
    """In float32 or wider, of one shape."""
    arrays = jnp.broadcast_arrays(*arrays)
    dtype = jnp.promote_types(jnp.result_type(*arrays), jnp.float32)
    return [array.astype(dtype) for array in arrays]


def unary(w, u, dice: Random):
    """Entry by entry."""
    del u
    return soft(dice.choice(_UNARY)(w))


def binary(w, u, dice: Random):
    """With another value, or data."""
    u = data(w.shape[-1:], w, dice) if dice.random() < 0.5 else broadcastable(w, u)
    terms = (w, u) if dice.random() < 0.5 else (u, w)
    return small(soft(dice.choice(_BINARY)(*terms)))


def scalar_operand(w, u, dice: Random):
    """With numbers of Python and weakly typed scalars, which do not decide dtypes."""
    del u
    total = w.sum() if dice.random() < 0.5 else w
    variants = [
        lambda: total * 0.5,
        lambda: 1 - total,
        lambda: total + jnp.asarray(1.5),
        lambda: jnp.where(True, total, 0.0),
        lambda: jnp.asarray(2.5) * total.astype(w.dtype),
        lambda: data((3,), jnp.zeros((), jnp.bfloat16), dice) * total.sum(),
        lambda: jnp.maximum(total, 0.25),
    ]
    return soft(dice.choice(variants)())


def reduce(w, u, dice: Random):
    """Over some axes."""
    del u
    axes = tuple(dice.sample(range(w.ndim), dice.randint(0, w.ndim))) or None
    keep = dice.random() < 0.3
    count = max(w.size, 1)
    some = [] if w.size == 0 else [jnp.max, jnp.min, jnp.mean, jnp.var, jax.nn.logsumexp]
    how = dice.choice(
        [
            lambda w, axes, keepdims: normalized(jnp.sum(w, axes, keepdims=keepdims), count),
            lambda w, axes, keepdims: jnp.prod(jnp.cos(w), axes, keepdims=keepdims),
            lambda w, axes, keepdims: jnp.sqrt(1 + jnp.sum(w * w, axes, keepdims=keepdims)),
            *some,
        ]
    )
    return soft(how(w, axes, keepdims=keep))


def general_reduce(w, u, dice: Random):
    """`lax.reduce`, `reduce_window` and reductions of two operands."""
    del u
    if w.ndim == 0 or w.size == 0:
        return w
    axis = dice.randrange(w.ndim)
    zero = jnp.zeros((), w.dtype)
    window = tuple(2 if place == axis else 1 for place in range(w.ndim))
    ones = (1,) * w.ndim

    def both(a, b):
        return a[0] + b[0], jnp.maximum(a[1], b[1])

    variants = [
        lambda: jax.lax.reduce(w, zero, lambda a, b: a + b, (axis,)),
        lambda: jax.lax.reduce_window(w, zero, jax.lax.add, window, ones, "SAME"),
        lambda: (
            jax.lax.reduce_window(w, zero, jax.lax.max, window, ones, "VALID")
            if w.shape[axis] > 1
            else w
        ),
        lambda: jax.lax.reduce((w, w), (zero, zero), both, (axis,))[0],
    ]
    return normalized(dice.choice(variants)(), w.shape[axis])


def cumulate(w, u, dice: Random):
    """Sums and maxima so far."""
    del u
    if w.ndim == 0:
        return w
    axis = dice.randrange(w.ndim)
    variants = [
        lambda: jnp.cumsum(w, axis),
        lambda: jax.lax.cumsum(w, axis, reverse=True),
        lambda: jax.lax.cummax(w, axis),
        lambda: jnp.cumprod(jnp.cos(w), axis),
        lambda: jax.lax.cumlogsumexp(w, axis),
        lambda: jnp.diff(w, axis=axis) if w.shape[axis] else w,
    ]
    return normalized(dice.choice(variants)(), w.shape[axis])


def cast(w, u, dice: Random):
    """To another floating dtype, perhaps through a third, perhaps back."""
    del u
    wider = jnp.promote_types(w.dtype, jnp.float32)
    low = dice.choice((jnp.bfloat16, jnp.bfloat16, jnp.float16, jnp.float8_e4m3fn))
    variants = [
        lambda: w.astype(low if low is not jnp.float8_e4m3fn else jnp.bfloat16),
        lambda: w.astype(low).astype(w.dtype),
        lambda: w.astype(wider),
        lambda: w.astype(low).astype(wider),
        lambda: w.astype(float),
        lambda: w.astype(wider).astype(jnp.float16),
    ]
    return dice.choice(variants)()


def quantized(w, u, dice: Random):
    """Integers made of a weight, in a way that is continuous."""
    del u
    if not w.size:
        return w
    steps = jnp.clip(w * 2, -3, 3)
    below = jnp.floor(steps).astype(jnp.int32)
    heights = jnp.sin(jnp.arange(9.0)).astype(w.dtype)
    rest = steps - below.astype(w.dtype)
    low, high = heights[below + 3], heights[below + 4]
    return low + rest * (high - low)


def normalize(w, u, dice: Random):
    """Softmax, layer norms and the like."""
    del u
    if w.ndim == 0 or w.size == 0:
        return w
    variants = [
        lambda: jax.nn.softmax(w, -1),
        lambda: jax.nn.log_softmax(w, 0),
        lambda: (w - w.mean(-1, keepdims=True)) / jnp.sqrt(1 + w.var(-1, keepdims=True)),
        lambda: jax.nn.standardize(w, epsilon=1.0),
        lambda: w / (1 + jnp.linalg.norm(w.reshape(w.shape[0], -1), axis=1).max()),
        lambda: data((2, w.shape[0]), w, dice) @ (w / (1 + jnp.abs(w))).reshape(w.shape[0], -1),
    ]
    return soft(dice.choice(variants)())


def transform(w, u, dice: Random):
    """Fourier transforms."""
    del u
    if w.ndim == 0 or w.size == 0:
        return w
    (w,) = wide(w)
    variants = [
        lambda: jnp.fft.rfft(w).real,
        lambda: jnp.abs(jnp.fft.fft(w)) if w.shape[-1] > 1 else w,
        lambda: jnp.fft.irfft(jax.lax.complex(w, w), 4),
        lambda: jnp.fft.fft2(w).imag if w.ndim > 1 else w,
    ]
    return normalized(dice.choice(variants)(), w.size)


def matrix_function(w, u, dice: Random):
    """Decompositions and solutions, of matrices that are far from singular."""
    del u
    w = with_ndim(w, 2, dice)
    if w.size == 0:
        return w
    w = soft(wide(w[:4, :4])[0])
    a = w @ w.T + 2 * jnp.eye(w.shape[0], dtype=w.dtype)
    b = data((w.shape[0], 2), w, dice)
    lower = jnp.tril(w @ w.T) + 3 * jnp.eye(w.shape[0], dtype=w.dtype)
    variants = [
        lambda: jnp.linalg.cholesky(a),
        lambda: jnp.linalg.solve(a, b),
        lambda: jnp.linalg.solve(a, w),
        lambda: jax.scipy.linalg.solve_triangular(lower, b, lower=True),
        lambda: jnp.linalg.eigvalsh(a),
        lambda: jnp.linalg.svd(w, compute_uv=False),
        lambda: jnp.abs(jnp.linalg.qr(a)[1]),
        lambda: jnp.linalg.slogdet(a)[1],
        lambda: jnp.linalg.inv(a),
        lambda: jax.scipy.linalg.expm(w @ w.T / (1 + jnp.sum(w * w))),
        lambda: jnp.linalg.matrix_power(a, 3),
    ]
    return normalized(dice.choice(variants)(), w.shape[0])


def polynomial(w, u, dice: Random):
    """`polyval`, `convolve`, `trapezoid`, and products over many values."""
    w, u = promoted(with_ndim(w, 1, dice), u)
    if w.size == 0:
        return w
    variants = [
        lambda: jnp.polyval(w[:4], data((3,), w, dice)),
        lambda: jnp.convolve(w[:8], data((3,), w, dice)),
        lambda: jnp.trapezoid(w),
        lambda: jnp.outer(w[:8], w[:8]),
        lambda: jnp.cross(data((3,), w, dice), jnp.resize(w, 3)),
    ]
    return normalized(dice.choice(variants)(), w.size)


ALL = (
    unary, binary, binary, scalar_operand, reduce, general_reduce, cumulate, cast, cast, quantized,
    normalize, transform, matrix_function, polynomial,
)  # fmt: skip
