"""Normal numbers of 8 or 16 random bits, for directions.

What a direction of many entries is used for, <∇L, z> and z itself as an update, is a sum over
entries, or adds up over steps: it takes a symmetric law of variance 1, and fine levels get lost in
it. With 256 levels a number costs an eighth of a call of the cipher and a short polynomial.
"""

import jax
import jax.numpy as jnp

from zojax.noise._normal import polynomial, quantile

# Of z / u in 2u² - 1, fitted to 256 levels: the means of the normal law between its quantiles k/256
# and (k+1)/256, at u = (2k + 1)/256 - 1. By least squares, weighted with u; scaled to E z² = 1.
_LEVELS = (
    2.54966021,
    1.08472657,
    -3.15133762,
    -0.880496383,
    1.29940569,
    0.408728272,
    0.242202193,
    1.48092711,
)
_OF_STEPS = tuple(c / 128 for c in _LEVELS)
# 1/√E z² of the quantiles in the middles of 2¹⁶ equal parts.
_TO_VARIANCE_1 = 1.00001014


@jax.jit
def normal_8(bits: jax.Array) -> jax.Array:
    """Numbers of 256 equally likely levels, float32, from the lowest 8 bits of uint32 words.

    The law is exactly symmetric; E z² = 1 to 1e-6, E z⁴ = 2.949, |z| ≤ 2.88.
    """
    # In odd multiples of ½, 128 u: of a u that was made from them by a product, the H100's compiler
    # kept them in a buffer for the two products, of the size of the leaf (jax 0.10.2).
    steps = _odd_halves(bits, 8)
    return steps * polynomial(_OF_STEPS, steps * steps * jnp.float32(2**-13) - 1)


@jax.jit
def normal_16(bits: jax.Array) -> jax.Array:
    """Numbers of 65,536 equally likely levels, float32, from the lowest 16 bits of uint32 words.

    The law is exactly symmetric; E z² = 1 to 1e-6, E z⁴ = 2.9992, |z| ≤ 4.33.
    """
    return jnp.float32(_TO_VARIANCE_1) * quantile(_odd_halves(bits, 16) * jnp.float32(2**-15))


def _odd_halves(words: jax.Array, bits: int) -> jax.Array:
    """The lowest bits of words, a number in two's complement, and ½; float32."""
    steps = jax.lax.bitcast_convert_type(words << (32 - bits), jnp.int32) >> (32 - bits)
    return steps.astype(jnp.float32) + 0.5
