"""A linear layer whose kernel is stored in 8 or 4 bits."""

import math

import jax
import jax.numpy as jnp
import qwix
from flax import nnx

FORMATS = ("int8", "nf4")
# Rows of a column that share a scale in NF4, as in QLoRA.
_BLOCK = 64


class Quantized(nnx.Variable):
    """What a quantized kernel is stored as; never trained."""


class QuantizedLinear(nnx.Module):
    """y = x (s q) + b: the kernel is multiplied out where it is used, and not kept.

    Made by `zojax.quantization.quantize`. Stacks of layers have a leading axis everywhere.

    Attributes:
      values: q, int8 (..., in, out); of NF4 two in a byte, uint8 (..., in / 2, out), where byte i
        of a column holds the levels of rows i (lower half) and i + in / 2.
      scales: s, (..., 1, out) for int8 and (..., in / 64, out) for NF4, float32.
      bias: b, (..., out), or None.
      format: "int8" or "nf4".
      dtype: of the kernel.
    """

    def __init__(self, linear: nnx.Linear, format: str):
        quantized = _quantized(linear.kernel[...], format)
        self.values = Quantized(quantized[0])
        self.scales = Quantized(quantized[1])
        self.bias = linear.bias
        self.format = format
        self.dtype = linear.kernel.dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (..., in) to (..., out); a stacked layer is called on its slices."""
        kernel = self.dequantized()
        dtype = jnp.promote_types(x.dtype, kernel.dtype)
        y = x.astype(dtype) @ kernel.astype(dtype)
        return y if self.bias is None else y + self.bias[...].astype(dtype)

    def dequantized(self) -> jax.Array:
        """The kernel s q, (..., in, out), formed in float32 and cast to the dtype that it had."""
        return _dequantized(self.values[...], self.scales[...], self.format).astype(self.dtype)


def check_kernel(path: str, kernel: jax.Array, format: str) -> None:
    """Raises ValueError for a kernel that NF4 cannot store two rows of in a byte."""
    inputs = kernel.shape[-2]
    if format == "nf4" and inputs % 2:
        raise ValueError(
            f"{path} has {inputs} inputs, but nf4 stores two of them in a byte; take int8"
        )


@jax.jit(static_argnames="format")
def _quantized(kernel: jax.Array, format: str) -> tuple[jax.Array, jax.Array]:
    kernel = kernel.astype(jnp.float32)
    *stacked, inputs, _ = kernel.shape
    each = (*range(len(stacked)), kernel.ndim - 1)
    if format == "int8":
        array = qwix.quantize(kernel, jnp.int8, channelwise_axes=each)
        return array.qvalue, array.scale
    blocks = {kernel.ndim - 2: math.gcd(inputs, _BLOCK)}
    array = qwix.quantize(kernel, "nf4", channelwise_axes=each, tiled_axes=blocks)
    first, second = jnp.split(array.qvalue.astype(jnp.uint8), 2, axis=-2)
    return first | (second << 4), array.scale


def _dequantized(values: jax.Array, scales: jax.Array, format: str) -> jax.Array:
    if format == "int8":
        return qwix.dequantize(qwix.QArray(values, scales))
    levels = jnp.concatenate([values & 15, values >> 4], axis=-2)
    return qwix.dequantize(qwix.QArray(levels, scales, qtype="nf4"))
