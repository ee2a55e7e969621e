"""From a model to one whose frozen layers are stored in few bits, and back."""

from flax import nnx

from zojax import _checks
from zojax.quantization._layer import FORMATS, QuantizedLinear, check_kernel


def quantize(model: nnx.Module, format: str) -> nnx.Module:
    """Returns the model with the linear layers of its stacks in 8 or 4 bits.

    Tables, norms, biases and heads stay as they are, and so do adapters: layers beside which one
    stands are quantized, too. So adapt first, then quantize. The model that is given stays as it
    is; the two share what is not quantized.

    Args:
      model: a model of `zojax.models`, adapted or not.
      format: "int8" (one byte a weight) or "nf4" (half a byte, and one scale for 64 weights).

    Raises:
      ValueError: for another format; if the model has no stacked linear layers, or nf4 meets an odd
        number of inputs.

    Examples:
      >>> import jax
      >>> from flax import nnx
      >>> from zojax import lora, quantization
      >>> from zojax.models import OPT, OPTConfig
      >>> config = OPTConfig(vocab_size=32, hidden_size=8, num_hidden_layers=2,
      ...                    num_attention_heads=2, ffn_dim=16, max_position_embeddings=16)
      >>> model = OPT(config, rngs=nnx.Rngs(0))
      >>> model = lora.adapt(model, ["v_proj"], rank=3, scale=2.0, key=jax.random.key(0))
      >>> model = quantization.quantize(model, "nf4")
      >>> graphdef, adapter, frozen = nnx.split(model, nnx.LoRAParam, ...)
      >>> frozen.layers.fc1["values"].shape
      (2, 4, 16)
    """
    _checks.one_of(FORMATS, format=format)
    found = [path for path, node in nnx.iter_modules(model) if _is_stacked(node)]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no linear layers in a stack (kernels of three axes), and "
            "only those are quantized"
        )

    def replace(path: tuple, node: object) -> object:
        if not _is_stacked(node):
            return node
        check_kernel(".".join(map(str, path)), node.kernel, format)
        return QuantizedLinear(node, format)

    return nnx.recursive_map(replace, nnx.clone(model))


def dequantize(model: nnx.Module) -> nnx.Module:
    """Returns the model with ordinary linear layers, whose kernels are what was computed with.

    Kernels come back in the dtype that they had, rounded to the levels of the format. A model
    without quantized layers comes back as a copy.
    """

    def replace(path: tuple, node: object) -> object:
        return _linear(node) if isinstance(node, QuantizedLinear) else node

    return nnx.recursive_map(replace, nnx.clone(model))


def _is_stacked(node: object) -> bool:
    return isinstance(node, nnx.Linear) and node.kernel.ndim == 3


def _linear(layer: QuantizedLinear) -> nnx.Linear:
    kernel = layer.dequantized()
    *_, inputs, outputs = kernel.shape
    linear = nnx.eval_shape(
        lambda: nnx.Linear(
            inputs,
            outputs,
            use_bias=layer.bias is not None,
            param_dtype=kernel.dtype,
            rngs=nnx.Rngs(0),
        )
    )
    linear.kernel = nnx.Param(kernel)
    linear.bias = layer.bias
    return linear
