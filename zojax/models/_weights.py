"""The three formats of weights, and the tensors in their files.

A tensor is `Stored`: its name, shape and dtype are known, its entries are not read yet, so that the
caller decides what is in memory: of safetensors any block of any tensor. Names and axis order are
PyTorch's, also for Flax files.
"""

import functools
import mmap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np
import safetensors
from flax import serialization, traverse_util

Block = tuple[slice, ...]
SAFETENSORS = "model.safetensors"
FLAX = "flax_model.msgpack"
TORCH = "pytorch_model.bin"
_FLAX_WEIGHTS = ("kernel", "scale", "embedding")
# In the headers of safetensors; what else there is (F8_E4M3, I8, …) stands for something quantized.
_FLOATING = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class Stored(NamedTuple):
    """A tensor in a file.

    Attributes:
      file: where it is.
      shape: its shape.
      dtype: what the file calls its dtype, in NumPy's word where it is a floating one.
      read: reads the block of these slices, one for every axis.
    """

    file: Path
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[Block], np.ndarray]

    @property
    def is_floating(self) -> bool:
        """Whether its entries are numbers as they stand."""
        return self.dtype in _FLOATING.values()

    def whole(self) -> np.ndarray:
        """Reads all of it."""
        return self.read((slice(None),) * len(self.shape))


Tensors = dict[str, Stored]


def open_file(path: Path, form: str) -> Tensors:
    """Opens a file, or a shard, of `SAFETENSORS`, `FLAX` or `TORCH`.

    Raises:
      ValueError: if it is damaged.
      ImportError: if it is PyTorch's and torch is not installed.
    """
    try:
        return _OPENERS[form](path)
    except (ImportError, MemoryError):
        raise
    # A file that is cut short or of another kind makes the three libraries raise whatever its bytes
    # lead to: their own errors, KeyError, TypeError, AttributeError, RecursionError, …
    except Exception as error:
        raise ValueError(
            f"{path} is damaged, or a Git LFS pointer instead of the file; download it again. "
            f"({type(error).__name__}: {error})"
        ) from error


def _open_safetensors(path: Path) -> Tensors:
    def read(name, block):
        # Opened anew for each tensor: a file that stays mapped keeps all it has read resident.
        with safetensors.safe_open(path, framework="numpy") as file:
            return file.get_slice(name)[block] if block else file.get_tensor(name)

    tensors = {}
    with safetensors.safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118  # it is no mapping
            part = file.get_slice(name)
            dtype = _FLOATING.get(part.get_dtype(), part.get_dtype())
            reader = functools.partial(read, name)
            tensors[name] = Stored(path, tuple(part.get_shape()), dtype, reader)
    return tensors


def _open_flax(path: Path) -> Tensors:
    # The format has no index of tensors, so all are decoded; mapping the file spares a second copy.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tree = serialization.msgpack_restore(data)
    tensors = {}
    for (*modules, leaf), array in traverse_util.flatten_dict(tree).items():
        name = ".".join([*modules, "weight" if leaf in _FLAX_WEIGHTS else leaf])
        array = np.asarray(array)
        if leaf == "kernel":  # (in, out), of a convolution after the height and width
            array = np.moveaxis(array, (-1, -2), (0, 1))
        tensors[name] = Stored(path, array.shape, array.dtype.name, array.__getitem__)
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
        name: Stored(
            path,
            tuple(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            functools.partial(read, tensor),
        )
        for name, tensor in state.items()
    }


# In the order in which they are looked for.
_OPENERS = {SAFETENSORS: _open_safetensors, FLAX: _open_flax, TORCH: _open_torch}
FORMATS = tuple(_OPENERS)
