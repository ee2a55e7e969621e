"""One adapted layer."""

import jax
from flax import nnx


class LoRALinear(nnx.Module):
    """y = base(x) + scale (x A) B, the sum formed in the wider dtype and cast to that of base(x).

    Made by `zojax.lora.adapt`. It stands where the linear layer stood.

    Attributes:
      base_module: the linear layer, untouched.
      lora_a: A, (..., in, rank), an `nnx.LoRAParam`; leading axes are those of a stacked kernel.
      lora_b: B, (..., rank, out), an `nnx.LoRAParam`.
      scale: a number, part of the graph definition.
    """

    def __init__(
        self, base_module: nnx.Linear, lora_a: jax.Array, lora_b: jax.Array, *, scale: float
    ):
        self.base_module = base_module
        self.lora_a = nnx.LoRAParam(lora_a)
        self.lora_b = nnx.LoRAParam(lora_b)
        self.scale = scale

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (..., in) to (..., out); a stacked layer is called on its slices."""
        y = self.base_module(x)
        # Through the rank first: (x A) B costs rank (in + out) a row of x, and A B is never formed.
        low_rank = (x @ self.lora_a[...]) @ self.lora_b[...]
        return (y + self.scale * low_rank).astype(y.dtype)

    @property
    def kernel(self):
        """Refused: who contracts the kernel without calling the layer would leave out A and B."""
        raise AttributeError(
            "an adapted layer has to be called, and the model reads its kernel instead; do not "
            "target this layer (its own weights are in base_module)"
        )
