"""The files of a Hugging Face checkpoint: where they are, and which of them are read.

A checkpoint is a folder that somebody else made. Nothing in it is run: settings are JSON, weights
are safetensors or msgpack, and a pickle (`pytorch_model.bin`) is read only where the caller asks
for it, by a reader that makes nothing but tensors. And nothing outside of it is read; see `inside`.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import errors

from zojax.models import _fields, _weights
from zojax.models._weights import Tensors

CONFIG = "config.json"


def locate(path_or_id: str | os.PathLike, *, allow_pickle: bool = False) -> Path:
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
        return _download(str(path_or_id), allow_pickle=allow_pickle)
    except (errors.RepositoryNotFoundError, errors.LocalEntryNotFoundError) as error:
        raise FileNotFoundError(f"{problem}, and the Hub did not give it: {error}") from error


def inside(folder: Path, name: str) -> Path:
    """The path of a file of a checkpoint, which may not lead out of its folder.

    A link, or an index with `../` in it, could otherwise lead to any file of this machine, and what
    is in it would be written out again with the model. Links are followed to where they end, which
    has to be in the folder. The one exception is the Hub's own cache, whose snapshots consist of
    links to the files of their repository:

        models--owner--name/snapshots/<commit>/config.json → models--owner--name/blobs/<hash>

    Raises:
      ValueError: if it leads elsewhere.
    """
    root = folder.resolve()
    homes = [root]
    if root.parent.name == "snapshots":
        homes.append(root.parents[1] / "blobs")
    try:
        target = (root / name).resolve()
        if target.is_symlink():  # Python 3.13 stops there, and those before raise RuntimeError
            raise RuntimeError("a circle of links")
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a zero byte
        raise ValueError(f"{folder / name} cannot be followed ({error}); remove it.") from None
    if not any(target.is_relative_to(home) for home in homes):
        raise ValueError(
            f"{folder / name} leads to {target}, outside of the checkpoint, and is not read; if "
            "that file belongs to it, put a copy there instead."
        )
    return folder / name


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts the name of a file before the message of a ValueError.

    Raises:
      ValueError: with the name.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_object(path: Path) -> dict[str, Any]:
    """Parses a file that holds a JSON object.

    Raises:
      ValueError: if it holds something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, not a {type(content).__name__}.")
    return content


def read_config(folder: Path) -> dict[str, Any]:
    """Parses `config.json`.

    Raises:
      FileNotFoundError: if it is missing.
      ValueError: if it is not a JSON object.
    """
    path = inside(folder, CONFIG)
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {CONFIG}, so it is not a Hugging Face checkpoint."
        )
    return read_object(path)


def open_tensors(folder: Path, *, allow_pickle: bool = False) -> Tensors:
    """Opens the weights of a folder, in the first format that is there.

    Raises:
      FileNotFoundError: if no format is there, or a shard that an index names is missing.
      ValueError: if a file is damaged or leads out of the folder, if two shards hold the same
        tensor, or if there is nothing but a pickle and `allow_pickle` is off.
      ImportError: if the weights are PyTorch's and torch is not installed.
    """
    for form in _weights.FORMATS:
        paths = _shards(folder, form)
        if not paths:
            continue
        if form == _weights.TORCH and not allow_pickle:
            raise ValueError(
                f"{paths[0]} is a pickle, a format that can hold code, and {folder} has no other "
                "weights; save them as safetensors, or read it with allow_pickle=True, which makes "
                "tensors and nothing else of it."
            )
        return _together([_weights.open_file(path, form) for path in paths])
    without = "" if allow_pickle else f" ({_weights.TORCH}, a pickle, only with allow_pickle=True)"
    raise FileNotFoundError(
        f"{folder} has no weights; looked for {', '.join(_weights.FORMATS)}{without}."
    )


def _together(shards: list[Tensors]) -> Tensors:
    tensors = {}
    for shard in shards:
        if twice := sorted(shard.keys() & tensors.keys()):
            name = twice[0]
            raise ValueError(
                f"{shard[name].file} and {tensors[name].file} both hold {name}, and a tensor must "
                "be in one shard; remove what is left of another download."
            )
        tensors |= shard
    return tensors


def _download(model_id: str, *, allow_pickle: bool) -> Path:
    """Fetches the config and one format: the Hub often has the same weights three times over."""
    for form in _weights.FORMATS:
        if form == _weights.TORCH and not allow_pickle:
            break
        stem, _, suffix = form.partition(".")
        pattern = f"{stem}*.{suffix}*"  # the file, its shards and its index
        folder = huggingface_hub.snapshot_download(model_id, allow_patterns=[CONFIG, pattern])
        if _shards(Path(folder), form):
            break
    return Path(folder)


def _shards(folder: Path, file: str) -> list[Path]:
    """The paths that make up `file`: itself, or the shards of its index, or none."""
    path, index = inside(folder, file), inside(folder, f"{file}.index.json")
    if path.is_file():
        return [path]
    if not index.is_file():
        return []
    places = read_object(index).get("weight_map")
    is_map = isinstance(places, dict) and len(places) > 0
    if not is_map or not all(isinstance(shard, str) for shard in places.values()):
        raise ValueError(
            f"{index}: weight_map must be an object from the names of tensors to those of files, "
            f"not {_fields.shown(places)}; download it again."
        )
    with naming(index):
        shards = {name: inside(folder, name) for name in sorted(set(places.values()))}
    missing = [name for name, shard in shards.items() if not shard.is_file()]
    if missing:
        raise FileNotFoundError(f"{index} names shards that are missing: {', '.join(missing)}.")
    return list(shards.values())
