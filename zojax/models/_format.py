"""Which tensors of a Hugging Face file a parameter is made of.

A family states a `Format`; reading and writing are common to all families. Kernels are (in, out)
here and mostly (out, in) in the files; a parameter of the stacked layers is one array here and one
tensor a layer in the files.
"""

from collections.abc import Callable
from types import EllipsisType
from typing import NamedTuple

import numpy as np
from flax import nnx

Path = tuple[str, ...]
Axes = tuple[int, ...]
Shape = tuple[int, ...]


def _reversed_kernels(path: Path, ndim: int) -> Axes:
    axes = tuple(range(ndim))
    return axes[::-1] if path[-1] == "kernel" else axes


def _same_shape(path: Path, shape: Shape) -> Shape:
    return shape


class Format(NamedTuple):
    """How the Hugging Face files of a family name things.

    Attributes:
      architecture: the class of `transformers` that `config.json` points to.
      prefix: what most files put before the names of the body and some leave out.
      bare: whether files of this architecture leave it out: those of a body without a head.
      tensor_name: from the path of a parameter to the name of its tensor, with the prefix, and with
        `{}` for the layer.
      table: the name of the token embedding.
      head: the name of the output head; a file may repeat the table there where they are tied.
      new: first parts of the names of heads that a file may lack, since they start anew.
      ignored: names, without the prefix, that old files hold and no model reads.
      old: (in old files, today) parts of names that differ, each replaced in turn; a file may hold
        a tensor under both names.
      axes: (path, ndim) → the axes of the file in the order of the parameter's (without that of the
        layer): `parameter = tensor.transpose(axes)`. Kernels are reversed by default.
      file_shape: (path, shape) → the shape in the files of a parameter with this shape once its
        axes are those of the file; the same by default. A tensor of another shape is read whole.
      renamed: (in the files, in the modules of transformers) parts of names that differ, each
        replaced in turn. Adapters of PEFT are named after the modules.
      layer_name: (name with `{}`, layer) → the name of that layer's tensor.
    """

    architecture: str
    prefix: str
    bare: bool
    tensor_name: Callable[[Path], str]
    table: str = ""
    head: str = ""
    new: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    old: tuple[tuple[str, str], ...] = ()
    axes: Callable[[Path, int], Axes] = _reversed_kernels
    file_shape: Callable[[Path, Shape], Shape] = _same_shape
    renamed: tuple[tuple[str, str], ...] = ()
    layer_name: Callable[[str, int], str] = str.format

    def name(self, path: Path) -> str:
        """The name of a parameter's tensor in files of this architecture."""
        name = self.tensor_name(path)
        return name.removeprefix(self.prefix) if self.bare else name

    def short_name(self, name: str) -> str:
        """From a name in any file to that of today, without the prefix."""
        name = name.removeprefix(self.prefix)
        for of_old, of_today in self.old:
            name = name.replace(of_old, of_today)
        return name

    def module_name(self, name: str) -> str:
        """From a name in the files to that in the modules of transformers, which it may be."""
        for of_file, of_module in self.renamed:
            name = name.replace(of_file, of_module)
        return name


class Tensor(NamedTuple):
    """One tensor of the files and its place in a parameter.

    Attributes:
      name: in the files.
      shape: in the files.
      plain: the shape of one layer of the parameter, with the axes of the file.
      layer: index into the leading axis of the parameter, or `...` for the whole of it.
      axes: the axes of the file in the order of the parameter's.
    """

    name: str
    shape: Shape
    plain: Shape
    layer: int | EllipsisType
    axes: Axes

    def to_parameter(self, array: np.ndarray) -> np.ndarray:
        """From the axes of the file, in the plain shape, to those of the parameter: a view."""
        return array.transpose(self.axes)

    def to_file(self, array: np.ndarray) -> np.ndarray:
        """From the parameter to the file: a view, or a copy where the shape is another."""
        return array.transpose(np.argsort(self.axes)).reshape(self.shape)


def plan(form: Format, state: nnx.State) -> list[tuple[Path, nnx.Param, list[Tensor]]]:
    """Lists (path, parameter, its tensors) for all parameters of a model."""
    return [(p, param, _tensors(form, p, param.shape)) for p, param in nnx.to_flat_state(state)]


def _tensors(form: Format, path: Path, shape: Shape) -> list[Tensor]:
    name = form.name(path)
    stacked = "{}" in name
    layers = range(shape[0]) if stacked else [...]
    shape = shape[1:] if stacked else shape
    axes = form.axes(path, len(shape))
    plain = tuple(shape[axes.index(axis)] for axis in range(len(shape)))
    of_file = form.file_shape(path, plain)
    return [
        Tensor(form.layer_name(name, layer) if stacked else name, of_file, plain, layer, axes)
        for layer in layers
    ]
