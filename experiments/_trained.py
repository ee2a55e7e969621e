"""A model to use: one that `finetune` wrote, an adapter of PEFT, or any checkpoint."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import yaml
from flax import nnx
from safetensors.numpy import load_file

from zojax import lora, prefix

_ADAPTER_CONFIG = "adapter_config.json"
# Of an encoder's prefix, for which PEFT has no files.
_PREFIX = "prefix.safetensors"


class Trained(NamedTuple):
    """Where the files of a model are.

    Attributes:
      base: folder, shipped name or Hugging Face id of its weights.
      adapter: the folder of an adapter that is not part of them, or None.
      settings: those of the run that wrote it; empty if none did.
    """

    base: str
    adapter: Path | None = None
    settings: dict[str, Any] = {}  # noqa: RUF012  (of a tuple that is never written to)


def find_trained(model: str) -> Trained:
    """Returns what a name of a model stands for.

    Args:
      model: the folder of a run, the folder of an adapter, or what `finetune --model` takes.

    Raises:
      ValueError: if the run has not ended, or an adapter does not say what it belongs to.
    """
    folder = Path(model)
    if (folder / "settings.yaml").is_file():
        return _of_run(folder)
    if (folder / _ADAPTER_CONFIG).is_file():
        config = json.loads((folder / _ADAPTER_CONFIG).read_text(encoding="utf-8"))
        base = config.get("base_model_name_or_path")
        if not base:
            raise ValueError(
                f"{folder / _ADAPTER_CONFIG} has no base_model_name_or_path; write there which "
                "model the adapter belongs to"
            )
        return Trained(base, folder)
    return Trained(model)


def _of_run(folder: Path) -> Trained:
    if not (folder / "model").is_dir():
        raise ValueError(
            f"{folder} holds a run that has not ended: it has no folder model; continue it with "
            "python -m experiments.finetune --resume"
        )
    settings = yaml.safe_load((folder / "settings.yaml").read_text(encoding="utf-8"))
    # LoRA is part of the weights that a run writes, and a prefix cannot be.
    adapter = folder / "adapter" if settings["adapter"] == "prefix" else None
    return Trained(str(folder / "model"), adapter, settings)


def with_adapter(model: nnx.Module, folder: Path | None) -> nnx.Module:
    """The model with the adapter of a folder, if there is one.

    Raises:
      FileNotFoundError: if a file is missing.
      ValueError: if the adapter is of a kind that is not offered, or of another model.
    """
    if folder is None:
        return model
    if (folder / _PREFIX).is_file():
        return _with_encoder_prefix(model, folder / _PREFIX)
    config = json.loads((folder / _ADAPTER_CONFIG).read_text(encoding="utf-8"))
    load = prefix.load_peft if config.get("peft_type") == "PREFIX_TUNING" else lora.load_peft
    return load(model, folder)


def positions_taken(model: nnx.Module) -> int:
    """How many positions of a model its prefix has."""
    keys = jax.tree.leaves(nnx.state(model, prefix.PrefixParam))
    return keys[0].shape[-3] if keys else 0


def _with_encoder_prefix(model: nnx.Module, path: Path) -> nnx.Module:
    arrays = load_file(path)
    length = arrays["past_key"].shape[-3]
    model = prefix.adapt(model, length=length, key=jax.random.key(0))
    graphdef, old, rest = nnx.split(model, prefix.PrefixParam, ...)

    def stored(names: tuple[Any, ...], param: Any) -> Any:
        array = arrays[names[-1]]
        if array.shape != param.shape:
            raise ValueError(
                f"{path}: {names[-1]} has shape {array.shape}, but the model asks for {param.shape}"
            )
        return param.replace(np.asarray(array, param.dtype))

    new = nnx.map_state(stored, old)
    return nnx.merge(graphdef, new, rest)
