"""From PEFT's files to an adapted model."""

import math
import os
from pathlib import Path as FilePath
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from zojax.lora import _peft, _places
from zojax.lora._places import Path
from zojax.models import _adapter_files, _saved_modules

# Settings that do not change what a stored adapter computes, or that are read here.
_READ_OR_HARMLESS = {
    *("r", "lora_alpha", "use_rslora", "target_modules", "exclude_modules", "task_type"),
    *("auto_mapping", "base_model_name_or_path", "revision", "inference_mode", "peft_version"),
    *("lora_dropout", "layers_pattern", "megatron_core", "qalora_group_size"),
    "fan_in_fan_out",  # how the weights of the base lie, not A and B
    "modules_to_save",
}
# Of these, the values that are fine; any other setting has to be off: None, false or empty. The
# initializations by name that are left out change the weights of the base as well.
_FINE = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "orthogonal"),
}


def load_peft(
    model: nnx.Module, directory: str | os.PathLike, *, dtype: DTypeLike = jnp.float32
) -> nnx.Module:
    """Returns the model with the adapter that PEFT or `save_peft` wrote.

    The layers to adapt are those of which the file has tensors, the rank is r, and the scale is
    lora_alpha / r, or lora_alpha / √r with `use_rslora`. A classifier that was trained beside it
    (`modules_to_save`) takes the place of the model's. The model that is given stays as it is; the
    two share the arrays of the other weights.

    Args:
      model: a model of `zojax.models` without adapters: the one that was adapted.
      directory: a folder with `adapter_config.json` and `adapter_model.safetensors`.
      dtype: of A and B, whatever it is in the file.

    Raises:
      FileNotFoundError: if a file is missing.
      TypeError: if the model does not say what its layers are called in files.
      ValueError: if a file is damaged, the adapter is of a kind that is not offered here (the
        setting is named), the tensors do not fit the model, or the model has adapters.
    """
    _places.check_dtype(dtype)
    _places.check_plain(model)
    folder = FilePath(directory)
    settings = _adapter_files.read_config(folder)
    rank, scale = _rank_and_scale(settings, folder / _peft.CONFIG)
    tensors = {
        _peft.current_name(model, name): tensor
        for name, tensor in _adapter_files.read_tensors(folder).items()
    }
    model, tensors = _saved_modules.read(
        model, tensors, _peft.START, settings.get("modules_to_save")
    )
    layers = _places.linear_layers(model)
    modules = _adapted_modules(model, layers, tensors, folder / _peft.WEIGHTS)
    _places.check_rank(rank, {path: layers[path] for path in modules})
    factors = {}
    for path, names in modules.items():
        kernel_shape = layers[path].kernel.shape
        shapes = _peft.tensor_shapes(model, path, kernel_shape, rank)
        factors[path] = _factors(names, kernel_shape, shapes, tensors, dtype)
    return _places.with_adapters(model, factors, scale)


def _rank_and_scale(settings: dict[str, Any], path: FilePath) -> tuple[int, float]:
    for name, value in settings.items():
        if name not in _READ_OR_HARMLESS and value not in _FINE.get(name, (None, False, {}, [])):
            raise ValueError(
                f"{path} has {name} = {value!r}, which zojax.lora does not offer; it reads plain "
                "LoRA of linear layers, with one rank and one scale"
            )
    rank, alpha, rooted = (settings.get(name) for name in ("r", "lora_alpha", "use_rslora"))
    is_rank = isinstance(rank, int) and not isinstance(rank, bool)
    is_alpha = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if not (is_rank and is_alpha and rank > 0 and 0 < alpha < math.inf):
        raise ValueError(
            f"{path} has r = {rank!r} and lora_alpha = {alpha!r}; both must be numbers above 0"
        )
    if rooted not in (None, False, True):
        raise ValueError(f"{path} has use_rslora = {rooted!r}; it must be true or false")
    return rank, alpha / (math.sqrt(rank) if rooted else rank)


def _adapted_modules(
    model: nnx.Module,
    layers: dict[Path, nnx.Linear],
    tensors: dict[str, np.ndarray],
    file: FilePath,
) -> dict[Path, list[str]]:
    """The layers that have tensors in the file, and the names of their modules there."""
    places = {
        path: _peft.module_names(model, path, layer.kernel.shape) for path, layer in layers.items()
    }
    wanted = {
        path: [tensor for module in modules for tensor in _peft.tensor_names(module)]
        for path, modules in places.items()
    }
    found = {
        path: places[path] for path, names in wanted.items() if not tensors.keys().isdisjoint(names)
    }
    named = {name for path in found for name in wanted[path]}
    if extra := sorted(tensors.keys() - named):
        raise ValueError(
            f"{file} holds {len(extra)} tensors for which the {type(model).__name__} given has no "
            f"linear layer, such as {extra[0]}; the adapter is of another model or kind of layer"
        )
    if missing := sorted(named - tensors.keys()):
        raise ValueError(
            f"{file} lacks {len(missing)} of {len(named)} tensors, such as {missing[0]}; layers "
            "that are stacked here have to be adapted all or none"
        )
    if not found:
        raise ValueError(f"{file} holds no tensors")
    return found


def _factors(
    modules: list[str],
    kernel_shape: tuple[int, ...],
    of_files: tuple[tuple[int, ...], tuple[int, ...]],
    tensors: dict[str, np.ndarray],
    dtype: DTypeLike,
) -> tuple[jax.Array, jax.Array]:
    """A and B of a layer, or of a stack of layers."""
    *stacked, inputs, outputs = kernel_shape
    rank = of_files[0][0]
    factors = []
    for which, shape in enumerate([(inputs, rank), (rank, outputs)]):
        names = [_peft.tensor_names(module)[which] for module in modules]
        for name in names:
            if tensors[name].shape != of_files[which]:
                raise ValueError(
                    f"{name} has shape {tensors[name].shape}, but the model and r = {rank} ask for "
                    f"{of_files[which]}"
                )
        matrices = [tensors[name].reshape(shape[::-1]).T for name in names]
        factor = np.stack(matrices).reshape(*stacked, *shape)
        factors.append(jnp.asarray(factor, dtype))
    return tuple(factors)
