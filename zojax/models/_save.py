"""From a model to the files of a checkpoint, one shard at a time."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from zojax.models import _files, _format

_SHARD_BYTES = 5 * 10**9
_Part = tuple[nnx.Param, _format.Tensor]


def save(
    model: nnx.Module, directory: str | os.PathLike, *, shard_bytes: int = _SHARD_BYTES
) -> None:
    """Writes `config.json` and safetensors, in shards where the weights exceed `shard_bytes`.

    At most one shard is copied at a time. Safetensors that an earlier save left in the directory
    are removed at the end.

    Raises:
      ValueError: if the model has adapters or a prefix.
    """
    _check_plain(model)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    plan = _format.plan(model.checkpoint_format, nnx.state(model, nnx.Param))
    shards = list(
        _shards([(param, part) for _, param, parts in plan for part in parts], shard_bytes)
    )
    files = _names(len(shards))
    for file, shard in zip(files, shards, strict=True):
        arrays = {part.name: _tensor(param, part) for param, part in shard}
        save_file(arrays, folder / file, metadata={"format": "pt"})  # transformers asks for it
    if len(shards) > 1:
        files.append(_write_index(folder, files, shards))
    for path in folder.glob("model*.safetensors*"):
        if path.name not in files:
            path.unlink()
    settings = model.config.to_dict() | {
        "architectures": [model.checkpoint_format.architecture],
        "torch_dtype": str(plan[0][1].dtype),  # the key that old and new transformers both read
    }
    _write_json(folder / _files.CONFIG, settings)


def _check_plain(model):
    """Refuses what the files of a model have no place for."""
    if jax.tree.leaves(nnx.state(model, nnx.LoRAParam)):
        raise ValueError(
            "the model has adapters, for which its files have no place; save "
            "zojax.lora.merge(model), or the adapter alone with zojax.lora.save_peft"
        )
    if any("prefix" in path for path, _ in nnx.to_flat_state(nnx.state(model, nnx.Param))):
        raise ValueError(
            "the model has a prefix, for which its files have no place; save the model that was "
            "adapted, and the prefix alone with zojax.prefix.save_peft"
        )


def _shards(parts: list[_Part], shard_bytes: int) -> Iterator[list[_Part]]:
    """Cuts the tensors, in order, into runs of at most `shard_bytes` (or of one tensor)."""
    run, used = [], 0
    for param, part in parts:
        size = _bytes(param, part)
        if run and used + size > shard_bytes:
            yield run
            run, used = [], 0
        run.append((param, part))
        used += size
    yield run


def _tensor(param: nnx.Param, part: _format.Tensor) -> np.ndarray:
    # save_file writes the buffer as it lies in memory, so a transposed view would be scrambled.
    return np.ascontiguousarray(part.to_file(np.asarray(param[part.layer])))


def _bytes(param, part):
    return int(np.prod(part.shape)) * param.dtype.itemsize


def _names(count):
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]


def _write_index(folder, files, shards):
    total = sum(_bytes(*entry) for shard in shards for entry in shard)
    places = {
        part.name: file for file, shard in zip(files, shards, strict=True) for _, part in shard
    }
    name = "model.safetensors.index.json"
    _write_json(folder / name, {"metadata": {"total_size": total}, "weight_map": places})
    return name


def _write_json(path, content):
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
