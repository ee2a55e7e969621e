"""The files of a Hugging Face checkpoint: where they are, and their tensors by name.

A checkpoint is read as a dictionary from the name of a tensor to a `Stored` one, which is not read
yet, so that the caller decides what is in memory: of safetensors any block of any tensor. Names and
axis order are PyTorch's, also for Flax files.
"""

import functools
import json
import mmap
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
import ml_dtypes
import numpy as np
import safetensors
from flax import serialization, traverse_util
from huggingface_hub import errors

CONFIG = "config.json"
Block = tuple[slice, ...]
_FLAX_WEIGHTS = ("kernel", "scale", "embedding")


class Stored(NamedTuple):
    """A tensor in a file.

    Attributes:
      shape: its shape.
      read: reads the block of these slices, one for every axis.
    """

    shape: tuple[int, ...]
    read: Callable[[Block], np.ndarray]

    def whole(self) -> np.ndarray:
        """Reads all of it."""
        return self.read((slice(None),) * len(self.shape))


Tensors = dict[str, Stored]


def locate(path_or_id: str | os.PathLike) -> Path:
    """Finds the folder of a checkpoint, downloading it where the argument is an id of the Hub.

    Raises:
      FileNotFoundError: if it is neither a folder nor something that the Hub or its cache has.
    """
    folder = Path(path_or_id).expanduser()
    if folder.is_dir():
        return folder
    problem = f"{os.fspath(path_or_id)!r} is not a folder here"
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(path_or_id)) or str(path_or_id)[0] in "./":
        raise FileNotFoundError(f"{problem}, and it cannot be the id of a model on the Hub.")
    try:
        return _download(str(path_or_id))
    except (errors.RepositoryNotFoundError, errors.LocalEntryNotFoundError) as error:
        raise FileNotFoundError(f"{problem}, and the Hub did not give it: {error}") from error


def read_config(folder: Path) -> dict[str, Any]:
    """Parses `config.json`.

    Raises:
      FileNotFoundError: if it is missing.
      ValueError: if it is not a JSON object.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {CONFIG}, so it is not a Hugging Face checkpoint."
        )
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path} must hold a JSON object, not a {type(settings).__name__}.")
    return settings


def open_tensors(folder: Path) -> Tensors:
    """Opens the weights of a folder, in the first format that is there.

    Raises:
      FileNotFoundError: if no format is there, or a shard that an index names is missing.
      ValueError: if a file is damaged.
      ImportError: if the weights are PyTorch's and torch is not installed.
    """
    for file, opener in _FORMATS.items():
        paths = _shards(folder, file)
        if paths:
            return {n: stored for path in paths for n, stored in _open(path, opener).items()}
    raise FileNotFoundError(f"{folder} has no weights; looked for {', '.join(_FORMATS)}.")


def _download(model_id: str) -> Path:
    """Fetches the config and one format: the Hub often has the same weights three times over."""
    for file in _FORMATS:
        stem, _, suffix = file.partition(".")
        pattern = f"{stem}*.{suffix}*"  # the file, its shards and its index
        folder = huggingface_hub.snapshot_download(model_id, allow_patterns=[CONFIG, pattern])
        if _shards(Path(folder), file):
            break
    return Path(folder)


def _shards(folder: Path, file: str) -> list[Path]:
    """The paths that make up `file`: itself, or the shards of its index, or none."""
    index = folder / f"{file}.index.json"
    if (folder / file).is_file():
        return [folder / file]
    if not index.is_file():
        return []
    shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    missing = [shard for shard in shards if not (folder / shard).is_file()]
    if missing:
        raise FileNotFoundError(f"{index} names shards that are missing: {', '.join(missing)}.")
    return [folder / shard for shard in shards]


def _open(path: Path, opener: Callable[[Path], Tensors]) -> Tensors:
    try:
        return opener(path)
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is damaged, or a Git LFS pointer instead of the file; download it again. "
            f"({error})"
        ) from error


def _open_safetensors(path: Path) -> Tensors:
    def read(name, block):
        # Opened anew for each tensor: a file that stays mapped keeps all it has read resident.
        with safetensors.safe_open(path, framework="numpy") as file:
            return file.get_slice(name)[block] if block else file.get_tensor(name)

    with safetensors.safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        shapes = [tuple(file.get_slice(name).get_shape()) for name in names]
    return {
        name: Stored(shape, functools.partial(read, name))
        for name, shape in zip(names, shapes, strict=True)
    }


def _open_msgpack(path: Path) -> Tensors:
    # The format has no index of tensors, so all are decoded; mapping the file spares a second copy.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tree = serialization.msgpack_restore(data)
    tensors = {}
    for (*modules, leaf), array in traverse_util.flatten_dict(tree).items():
        name = ".".join([*modules, "weight" if leaf in _FLAX_WEIGHTS else leaf])
        if leaf == "kernel":  # (in, out), of a convolution after the height and width
            array = np.moveaxis(array, (-1, -2), (0, 1))
        array = np.asarray(array)
        tensors[name] = Stored(array.shape, array.__getitem__)
    return tensors


def _open_torch(path: Path) -> Tensors:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path} is a PyTorch file and torch is not installed; install torch, or save the "
            "model as safetensors where torch is."
        ) from error

    def read(tensor, block):
        if tensor.dtype == torch.bfloat16:  # numpy() refuses it
            return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)[block]
        return tensor.numpy()[block]

    # Files of torch < 1.6 are no zip archives and cannot be mapped.
    mapped = zipfile.is_zipfile(path)
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    return {
        name: Stored(tuple(tensor.shape), functools.partial(read, tensor))
        for name, tensor in state.items()
    }


# What the three libraries raise for a file that is cut short or of another kind.
_DAMAGE = (
    safetensors.SafetensorError,
    ValueError,
    EOFError,
    RuntimeError,
    pickle.UnpicklingError,
)
_FORMATS = {
    "model.safetensors": _open_safetensors,
    "flax_model.msgpack": _open_msgpack,
    "pytorch_model.bin": _open_torch,
}
