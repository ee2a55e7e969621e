"""From an adapted model to one without adapters."""

import jax
import jax.numpy as jnp
from flax import nnx

from zojax.lora._layer import LoRALinear
from zojax.lora._places import Path, adapted_layers


def merge(model: nnx.Module) -> nnx.Module:
    """Returns a model without adapters that computes the same: W + s A B in the place of W.

    The sum is formed in float32 (or wider, with wider weights) and cast once to the dtype of W:
    with bfloat16 weights, what is below their precision is lost, which an adapter would have kept.
    The model that is given stays as it is; weights without an adapter are shared with it.

    Args:
      model: a model with adapters.

    Raises:
      ValueError: if it has none.
    """
    adapted_layers(model)

    def fold(path: Path, node: object) -> object:
        if not isinstance(node, LoRALinear):
            return node
        base = node.base_module
        # A new variable: the old one may be that of another layer too, whose weights stay.
        base.kernel = base.kernel.replace(_merged_kernel(node))
        return base

    return nnx.recursive_map(fold, nnx.clone(model))


def _merged_kernel(layer: LoRALinear) -> jax.Array:
    kernel = layer.base_module.kernel[...]
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    a, b = layer.lora_a[...].astype(wide), layer.lora_b[...].astype(wide)
    product = jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
    return (kernel.astype(wide) + layer.scale * product).astype(kernel.dtype)
