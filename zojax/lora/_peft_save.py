"""From an adapted model to PEFT's files."""

import json
import os
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import jax
import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from zojax.lora import _peft, _places
from zojax.lora._layer import LoRALinear
from zojax.models import _saved_modules

# Without a task PEFT wraps any model. With that of a classifier it asks for its head as well.
_TASKS = {"language_model": "CAUSAL_LM"}
_WITH_HEAD = "SEQ_CLS"


def save_peft(
    model: nnx.Module,
    directory: str | os.PathLike,
    *,
    base_model: str | os.PathLike | None = None,
    modules_to_save: Sequence[str] = (),
) -> None:
    """Writes the adapter of a model as PEFT reads it: `PeftModel.from_pretrained(base, directory)`.

    The weights of the model itself are not written. A and B keep their dtype; `lora_alpha` is
    scale · rank, which PEFT divides by the rank again.

    Args:
      model: a model of `zojax.models` with adapters.
      directory: a folder, made if missing; an adapter there is replaced.
      base_model: the folder or the Hugging Face id of the model that was adapted; PEFT's automatic
        classes load it from there.
      modules_to_save: modules that are written whole beside the adapter, because they were trained
        with it: those of a classifier, `model.checkpoint_format.new`.

    Raises:
      TypeError: if the model does not say what its layers are called in files.
      ValueError: if it has no adapters, or no such module.
    """
    layers = _places.adapted_layers(model)
    names = {
        path: _peft.module_names(model, path, layer.base_module.kernel.shape)
        for path, layer in layers.items()
    }
    tensors = _saved_modules.write(model, modules_to_save, _peft.START)
    for path, layer in layers.items():
        kernel_shape, rank = layer.base_module.kernel.shape, layer.lora_a.shape[-1]
        shapes = _peft.tensor_shapes(model, path, kernel_shape, rank)
        for factor, tensor in ((layer.lora_a, 0), (layer.lora_b, 1)):
            matrices = _matrices(factor[...])
            for module, matrix in zip(names[path], matrices, strict=True):
                array = np.ascontiguousarray(matrix.T).reshape(shapes[tensor])
                tensors[_peft.tensor_names(module)[tensor]] = array
    folder = FilePath(directory)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / _peft.WEIGHTS, metadata={"format": "pt"})
    config = _config(next(iter(layers.values())), base_model) | {
        "target_modules": _target_modules(model, names),
        "fan_in_fan_out": any(_peft.is_fan_in_fan_out(model, path) for path in layers),
        "task_type": _task(model, modules_to_save),
        "modules_to_save": list(modules_to_save) or None,
    }
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / _peft.CONFIG).write_text(text, encoding="utf-8")


def _task(model: nnx.Module, modules_to_save: Sequence[str]) -> str | None:
    head = getattr(model, "head", None)
    of_texts = {"score", "classifier"}.intersection(modules_to_save) and hasattr(
        model.config, "vocab_size"
    )
    return _WITH_HEAD if of_texts else _TASKS.get(head)


def _matrices(factor: jax.Array) -> np.ndarray:
    """(layers, rows, columns), also of a layer that is not stacked."""
    return np.asarray(factor).reshape(-1, *factor.shape[-2:])


def _config(layer: LoRALinear, base_model: str | os.PathLike | None) -> dict[str, Any]:
    rank = layer.lora_a.shape[-1]
    alpha = layer.scale * rank
    return {
        "peft_type": "LORA",
        "base_model_name_or_path": None if base_model is None else os.fspath(base_model),
        "r": rank,
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "init_lora_weights": True,
        "use_dora": False,
        "use_rslora": False,
    }


def _target_modules(model: nnx.Module, names: dict[_places.Path, list[str]]) -> list[str]:
    """Last names where only adapted layers have them, else whole paths: PEFT compares ends."""
    modules = {module for modules in names.values() for module in modules}
    last = {module.rsplit(".", 1)[-1] for module in modules}
    plain = {
        path[-1]
        for path, node in nnx.iter_modules(model)
        if path and not isinstance(node, LoRALinear)
    }
    # Files may call layers the same that are not: ModernBERT's have a Wo in attention and MLP.
    for path, layer in _places.linear_layers(model).items():
        if path[-1] != "base_module":
            others = _peft.module_names(model, path, layer.kernel.shape)
            plain |= {module.rsplit(".", 1)[-1] for module in others}
    return sorted(modules if last & plain else last)
