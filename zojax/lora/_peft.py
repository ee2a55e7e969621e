"""PEFT's files of an adapter, and where its tensors lie in ours.

    adapter_config.json           r, lora_alpha = scale · rank, target_modules, …
    adapter_model.safetensors     base_model.model.<module>.lora_A.weight, (rank, in): Aᵀ
                                  base_model.model.<module>.lora_B.weight, (out, rank): Bᵀ
                                  base_model.model.<module>.weight, .bias: a module that is saved
                                  whole, `modules_to_save`

<module> is the path in the Hugging Face model; a stack of layers here is one module a layer there.
Where that model has a convolution of patches for a linear map, A is (rank, channels, height, width)
and B is (out, rank, 1, 1).
"""

from flax import nnx

from zojax.lora._places import Path, dotted
from zojax.models import _adapter_files

CONFIG, WEIGHTS = _adapter_files.CONFIG, _adapter_files.WEIGHTS
START = "base_model.model."  # of the names of all tensors


def module_names(model: nnx.Module, path: Path, kernel_shape: tuple[int, ...]) -> list[str]:
    """The Hugging Face paths of a linear layer: one, or one for each layer of a stack."""
    form = _form(model)
    name = form.module_name(form.name((*path, "kernel")).removesuffix(".weight"))
    if ("{}" in name) != (len(kernel_shape) == 3):
        raise ValueError(
            f"{dotted(path)} has a kernel of shape {kernel_shape}, which {type(model).__name__} "
            f"calls {name!r} in files; only stacks of layers, with one leading axis, have several"
        )
    layers = kernel_shape[0] if len(kernel_shape) == 3 else 1
    return [name.format(layer) for layer in range(layers)]


def tensor_names(module: str) -> tuple[str, str]:
    """The names of A and B of one module."""
    return f"{START}{module}.lora_A.weight", f"{START}{module}.lora_B.weight"


def is_fan_in_fan_out(model: nnx.Module, path: Path) -> bool:
    """Whether the kernel of a linear layer is (in, out) in Hugging Face's files."""
    return _form(model).axes((*path, "kernel"), 2) == (0, 1)


def current_name(model: nnx.Module, tensor: str) -> str:
    """The name of a tensor today, where adapters for older versions of transformers differ."""
    return _form(model).module_name(tensor)


def tensor_shapes(
    model: nnx.Module, path: Path, kernel_shape: tuple[int, ...], rank: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of A and B of one module in the files."""
    inputs, outputs = kernel_shape[-2:]
    kernel = _form(model).file_shape((*path, "kernel"), (outputs, inputs))
    return (rank, *kernel[1:]), (outputs, rank, *(1 for _ in kernel[2:]))


def _form(model: nnx.Module):
    form = getattr(model, "checkpoint_format", None)
    if form is None:
        raise TypeError(
            f"{type(model).__name__} has no checkpoint_format, which says what its layers are "
            "called in Hugging Face's files; the models of zojax.models have one"
        )
    return form
