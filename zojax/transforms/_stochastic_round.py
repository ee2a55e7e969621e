"""Rounding to one of the two neighbors at random, so that the mean is right.

    SR(x) = ⌈x⌉ with probability (x - ⌊x⌋) / (⌈x⌉ - ⌊x⌋), else ⌊x⌋,    E SR(x) = x              (1)

⌊x⌋ and ⌈x⌉ being the numbers of the narrow dtype next to x.

Source: Croci, Fasi, Higham, Mary, Mikaitis, "Stochastic rounding: implementation, error analysis
and applications", Royal Society Open Science 9(3), 2022, Section 2.
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

_MANTISSA = jnp.finfo(jnp.float32).nmant
NARROW = (jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float16))


def stochastic_round(x: jax.Array, dtype: DTypeLike, bits: jax.Array) -> jax.Array:
    """SR(x) in bfloat16 or float16, equation (1).

    A float32 is an integer that counts through the numbers of one sign. What a narrow dtype lacks
    are its d lowest bits (16 for bfloat16, 13 for float16): adding a random number below 2^d and
    then dropping them carries into the next number with the probability of (1), exactly.

    What the dtype holds stays as it is, NaN and infinities too, and so does the sign of a zero.
    Beyond the largest finite number there is no mean to keep, and x is rounded to nearest. Below
    the smallest normal number of float16, its spacing 2⁻²⁴ no longer shrinks, and x counts in
    steps of 2⁻³⁷, the spacing that float32 has at that number.

    Args:
      x: any shape, float32.
      dtype: `jnp.bfloat16` or `jnp.float16`.
      bits: independent integers of which the lowest 16 bits are uniform, int32, the shape of x.
    """
    of = jnp.finfo(dtype)
    dropped = (1 << (_MANTISSA - of.nmant)) - 1
    shift = jnp.float32(0)
    if of.minexp > jnp.finfo(jnp.float32).minexp:
        smallest = jnp.float32(of.smallest_normal)
        # Moved by it, small numbers lie where the spacing of normal ones is that of subnormal ones.
        shift = jnp.where(jnp.abs(x) < smallest, jnp.copysign(smallest, x), 0)
    counted = jax.lax.bitcast_convert_type(x + shift, jnp.int32)
    rounded = (counted + (bits & dropped)) & ~dropped
    rounded = jnp.copysign(jax.lax.bitcast_convert_type(rounded, jnp.float32) - shift, x)
    return jnp.where(jnp.abs(x) <= jnp.float32(of.max), rounded, x).astype(dtype)
