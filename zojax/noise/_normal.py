"""The inverse of the normal distribution function, for random words, where speed counts.

    z = √2 erf⁻¹(u),    w = -ln((1 - u)(1 + u)),    erf⁻¹(u) = u P(w - 2.5)   if w < 5
                                                             = u Q(√w - 3)    else            (1)

with polynomials P and Q, which vectorize. `jax.random.normal` goes the same way, but forms w with
log1p, which costs more than all the rest; here the logarithm is a polynomial too. It is right to
1e-6 of z, as one in float32 has to be.

Source: Giles, "Approximating the erfinv function", GPU Computing Gems, 2012, Listing 3.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

_P = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_Q = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)
# Of ln(1 + m) / m, interpolated at the Chebyshev points of √½ - 1 ... √2 - 1.
_LOG = (
    -0.098953507,
    0.16126248,
    -0.17278206,
    0.19913348,
    -0.24968907,
    0.33334606,
    -0.50000375,
    0.99999997,
)
_SQRT_HALF = np.int32(0x3F3504F3)  # the bits of √½


@jax.jit
def normal(bits: jax.Array) -> jax.Array:
    """Independent N(0, 1) numbers, float32, one from each uniform word, |z| ≤ 5.4.

    The upper 24 bits of a word decide; the law is exactly symmetric.
    """
    steps = jax.lax.bitcast_convert_type(bits, jnp.int32) >> 8
    return quantile((steps.astype(jnp.float32) + 0.5) * jnp.float32(2**-23))


def quantile(u: jax.Array) -> jax.Array:
    """Z of equation (1) for multiples u of 2⁻²⁴ in (-1, 1), float32."""
    w = -_log((1 - u) * (1 + u))
    inner, outer = polynomial(_P, w - 2.5), polynomial(_Q, jnp.sqrt(w) - 3)
    return jnp.float32(math.sqrt(2)) * u * jnp.where(w < 5, inner, outer)


def _log(x: jax.Array) -> jax.Array:
    """Natural logarithm of positive normal float32 numbers: x = 2ᵉ (1 + m), √½ ≤ 1 + m < √2."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    exponent = (bits - _SQRT_HALF) >> 23
    m = jax.lax.bitcast_convert_type(bits - (exponent << 23), jnp.float32) - 1
    return exponent.astype(jnp.float32) * jnp.float32(math.log(2)) + m * polynomial(_LOG, m)


def polynomial(coefficients: Sequence[float], x: jax.Array) -> jax.Array:
    """Horner's rule, the highest power first."""
    total = jnp.float32(coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + jnp.float32(coefficient)
    return total
