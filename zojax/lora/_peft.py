"""PEFT's files of an adapter, and where its tensors lie in ours.

    adapter_config.json           r, lora_alpha = scale · rank, target_modules, …
    adapter_model.safetensors     base_model.model.<module>.lora_A.weight, (rank, in): Aᵀ
                                  base_model.model.<module>.lora_B.weight, (out, rank): Bᵀ

<module> is the path in the Hugging Face model; a stack of layers here is one module a layer there.
"""

from flax import nnx

from zojax.lora._places import Path, dotted

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def module_names(model: nnx.Module, path: Path, kernel_shape: tuple[int, ...]) -> list[str]:
    """The Hugging Face paths of a linear layer: one, or one for each layer of a stack."""
    name = _form(model).name((*path, "kernel")).removesuffix(".weight")
    if ("{}" in name) != (len(kernel_shape) == 3):
        raise ValueError(
            f"{dotted(path)} has a kernel of shape {kernel_shape}, which {type(model).__name__} "
            f"calls {name!r} in files; only stacks of layers, with one leading axis, have several"
        )
    layers = kernel_shape[0] if len(kernel_shape) == 3 else 1
    return [name.format(layer) for layer in range(layers)]


def tensor_names(module: str) -> tuple[str, str]:
    """The names of A and B of one module."""
    start = f"base_model.model.{module}"
    return f"{start}.lora_A.weight", f"{start}.lora_B.weight"


def is_fan_in_fan_out(model: nnx.Module, path: Path) -> bool:
    """Whether the kernel of a linear layer is (in, out) in Hugging Face's files."""
    return _form(model).axes((*path, "kernel"), 2) == (0, 1)


def _form(model: nnx.Module):
    form = getattr(model, "checkpoint_format", None)
    if form is None:
        raise TypeError(
            f"{type(model).__name__} has no checkpoint_format, which says what its layers are "
            "called in Hugging Face's files; the models of zojax.models have one"
        )
    return form
