"""Which tensors of a Hugging Face file a parameter is made of.

A family states a `Format`; reading and writing are common to all families. Kernels are (in, out)
here and (out, in) in the files; a parameter of the stacked layers is one array here and one tensor
a layer in the files.
"""

from collections.abc import Callable
from types import EllipsisType
from typing import NamedTuple

import numpy as np
from flax import nnx


class Format(NamedTuple):
    """How the Hugging Face files of a family name things.

    Attributes:
      architecture: the class of `transformers` that `config.json` points to.
      prefix: what most files put before the names of the body and some leave out.
      tensor_name: from the path of a parameter to the name of its tensor, with `{}` for the layer.
      table: the name of the token embedding.
      head: the name of the output head; a file may repeat the table there where they are tied.
      ignored: names, without the prefix, that old files hold and no model reads.
    """

    architecture: str
    prefix: str
    tensor_name: Callable[[tuple[str, ...]], str]
    table: str
    head: str
    ignored: tuple[str, ...] = ()


class Tensor(NamedTuple):
    """One tensor of the files and its place in a parameter.

    Attributes:
      name: in the files.
      shape: in the files.
      layer: index into the leading axis of the parameter, or `...` for the whole of it.
      transposed: whether the axes of the file are those of the parameter in reverse.
    """

    name: str
    shape: tuple[int, ...]
    layer: int | EllipsisType
    transposed: bool

    def turn(self, array: np.ndarray) -> np.ndarray:
        """From the axes of the file to those of the parameter, or back: a view."""
        return array.T if self.transposed else array


def plan(form: Format, state: nnx.State) -> list[tuple[tuple[str, ...], nnx.Param, list[Tensor]]]:
    """Lists (path, parameter, its tensors) for all parameters of a model."""
    return [(p, param, _tensors(form, p, param.shape)) for p, param in nnx.to_flat_state(state)]


def _tensors(form, path, shape):
    name, transposed = form.tensor_name(path), path[-1] == "kernel"
    stacked = "{}" in name
    layers = range(shape[0]) if stacked else [...]
    shape = shape[1:] if stacked else shape
    shape = shape[::-1] if transposed else shape
    return [Tensor(name.format(layer), shape, layer, transposed) for layer in layers]
