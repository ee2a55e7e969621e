"""PEFT's files of a prefix.

    adapter_config.json           num_virtual_tokens, num_layers, token_dim, num_attention_heads
    adapter_model.safetensors     prompt_embeddings, (length, layers · 2 · heads · head width):
                                  of each layer in turn K_0, then V_0
                                  base_model.<module>.weight: a module that is saved whole,
                                  `modules_to_save`

The heads are those of keys and values.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from safetensors.numpy import save_file

from zojax.models import _adapter_files, _saved_modules
from zojax.prefix import _module

_TENSOR = "prompt_embeddings"
_START = "base_model."  # of the names of modules that are saved whole
_TASKS = {"language_model": "CAUSAL_LM", "classifier": "SEQ_CLS"}


def save_peft(
    model: nnx.Module,
    directory: str | os.PathLike,
    *,
    base_model: str | os.PathLike | None = None,
    modules_to_save: Sequence[str] = (),
) -> None:
    """Writes the prefix of a decoder in the files of PEFT.

    `PeftModel.from_pretrained(base, directory)` reads them. The weights of the model itself are not
    written.

    Args:
      model: a model of `zojax.models` with a prefix.
      directory: a folder, made if missing; an adapter there is replaced.
      base_model: the folder or the Hugging Face id of the model that has the prefix; PEFT's
        automatic classes load it from there.
      modules_to_save: modules that are written whole beside the prefix, because they were trained
        with it: those of a classifier, `model.checkpoint_format.new`.

    Raises:
      TypeError: if the model is no decoder: PEFT hands a prefix over as what a decoder remembers.
      ValueError: if it has no prefix, or no such module.
    """
    prefix = _module.of(model)
    _check_decoder(model)
    pair = np.stack([np.asarray(prefix.past_key[...]), np.asarray(prefix.past_value[...])])
    _, layers, length, heads, width = pair.shape
    embeddings = pair.transpose(2, 1, 0, 3, 4).reshape(length, -1)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {_TENSOR: np.ascontiguousarray(embeddings)}
    tensors |= _saved_modules.write(model, modules_to_save, _START)
    save_file(tensors, folder / _adapter_files.WEIGHTS, metadata={"format": "pt"})
    config = {
        "peft_type": "PREFIX_TUNING",
        "task_type": _TASKS.get(model.head),
        "base_model_name_or_path": None if base_model is None else os.fspath(base_model),
        "num_virtual_tokens": length,
        "num_layers": layers,
        "num_attention_heads": heads,
        "token_dim": heads * width,
        "num_transformer_submodules": 1,
        "encoder_hidden_size": heads * width,
        "prefix_projection": False,
        "modules_to_save": list(modules_to_save) or None,
        "inference_mode": True,
    }
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / _adapter_files.CONFIG).write_text(text, encoding="utf-8")


def load_peft(
    model: nnx.Module, directory: str | os.PathLike, *, dtype: DTypeLike = jnp.float32
) -> nnx.Module:
    """Returns the model with the prefix that PEFT or `save_peft` wrote.

    A classifier that was trained beside it (`modules_to_save`) takes the place of the model's. The
    model that is given stays as it is; the two share the arrays of the other weights.

    Args:
      model: a decoder of `zojax.models` without a prefix.
      directory: a folder with `adapter_config.json` and `adapter_model.safetensors`.
      dtype: of the prefix, whatever it is in the file.

    Raises:
      FileNotFoundError: if a file is missing.
      TypeError: if the model is no decoder.
      ValueError: if a file is damaged, the adapter is of another kind, or does not fit the model,
        or the model has a prefix.
    """
    _module.check_plain(model)
    _check_decoder(model)
    folder = Path(directory)
    config = _adapter_files.read_config(folder)
    length = _length(config, folder / _adapter_files.CONFIG)
    # Of one slot: a length of the file's may be anything.
    layers, _, _, heads, width = model.empty_cache(1, 1).memory.key.shape
    tensors = _adapter_files.read_tensors(folder)
    model, tensors = _saved_modules.read(model, tensors, _START, config.get("modules_to_save"))
    embeddings = _only_tensor(tensors, folder / _adapter_files.WEIGHTS)
    if embeddings.shape != (length, layers * 2 * heads * width):
        raise ValueError(
            f"{folder} has a prefix of shape {embeddings.shape}; for {type(model).__name__} with "
            f"{layers} layers and {heads} key heads of width {width} it is "
            f"{(length, layers * 2 * heads * width)}"
        )
    pair = embeddings.reshape(length, layers, 2, heads, width).transpose(2, 1, 0, 3, 4)
    return _module.with_prefix(model, *(jnp.asarray(array, dtype) for array in pair))


def _check_decoder(model: nnx.Module) -> None:
    if not hasattr(model, "extend"):
        raise TypeError(
            f"{type(model).__name__} is no decoder, and PEFT has prefixes for these alone; save "
            "and restore nnx.state(model, zojax.prefix.PrefixParam) with orbax instead"
        )


def _length(config: dict[str, Any], path: Path) -> int:
    """How many tokens the prefix stands for."""
    # A projection is left out of what PEFT saves: the tensor is what comes out of it.
    if config.get("peft_type") != "PREFIX_TUNING":
        raise ValueError(f"{path} is of peft_type {config.get('peft_type')!r}, not PREFIX_TUNING")
    length = config.get("num_virtual_tokens")
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise ValueError(f"{path}: num_virtual_tokens must be an integer above 0, not {length!r}")
    return length


def _only_tensor(tensors: dict[str, np.ndarray], path: Path) -> np.ndarray:
    if tensors.keys() != {_TENSOR}:
        raise ValueError(
            f"{path} must hold {_TENSOR} alone, not {sorted(tensors)[:5]}; it is of another kind "
            "of adapter"
        )
    return tensors[_TENSOR]
