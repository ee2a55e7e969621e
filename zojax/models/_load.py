"""From the tensors of a checkpoint to a model, one tensor at a time."""

import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _files, _format


def load(family: type[nnx.Module], config: Any, folder: Path, dtype: DTypeLike) -> nnx.Module:
    """Builds a model whose parameters come from the files in `folder`, cast to `dtype`.

    Raises:
      ValueError: if a tensor is missing, has another shape, is not floating, or has no place.
    """
    form = family.checkpoint_format
    abstract = nnx.eval_shape(lambda: family(config, dtype=dtype, rngs=nnx.Rngs(0)))
    graphdef, state = nnx.split(abstract)
    plan = _format.plan(form, state)
    names = [tensor.name for _, _, parts in plan for tensor in parts]
    tensors = _open(form, names, folder)
    _check_head(form, config, tensors, folder)
    _check_names(form, names, tensors, folder)
    filled = [(path, param.replace(_fill(param, parts, tensors))) for path, param, parts in plan]
    return nnx.merge(graphdef, nnx.from_flat_state(filled))


def _open(form: _format.Format, names: list[str], folder: Path) -> _files.Tensors:
    """The tensors of the files under the names that we use, with the prefix."""
    known = {name.removeprefix(form.prefix): name for name in names}
    tensors = {}
    for name, read in _files.open_tensors(folder).items():
        short = name.removeprefix(form.prefix)
        if short not in form.ignored:
            tensors[known.get(short, name)] = read
    return tensors


def _check_head(form, config, tensors, folder):
    """Makes one of a head and a table that are tied; some files hold both, some only the head."""
    if not config.tie_word_embeddings or form.head not in tensors:
        return
    head = tensors.pop(form.head)
    if not np.array_equal(head(), tensors.setdefault(form.table, head)()):
        raise ValueError(
            f"{folder / _files.CONFIG} ties the head to the token table, but {form.head} and "
            f"{form.table} differ; set tie_word_embeddings to false to use both."
        )


def _check_names(form, names, tensors, folder):
    """Refuses tensors that are missing or that belong to a larger body; warns of other heads."""
    missing = sorted(set(names) - set(tensors))
    if missing:
        raise ValueError(
            f"{folder} lacks {len(missing)} of the {len(names)} tensors that its "
            f"{_files.CONFIG} asks for: {_listed(missing)}."
        )
    roots = {_root(form, name) for name in names}
    extra = sorted(set(tensors) - set(names))
    inside = [name for name in extra if _root(form, name) in roots]
    if inside:
        raise ValueError(
            f"{folder} holds {len(inside)} tensors for which its {_files.CONFIG} has no place: "
            f"{_listed(inside)}. Config and weights are of different models."
        )
    if extra:
        warnings.warn(
            f"{folder} holds tensors of another head, which are left out: {_listed(extra)}.",
            stacklevel=4,
        )


def _fill(param: nnx.Param, parts: list[_format.Tensor], tensors: _files.Tensors) -> jax.Array:
    """Reads the tensors of one parameter into one array."""
    array = np.empty(param.shape, param.dtype)
    for part in parts:
        value = tensors.pop(part.name)()
        if value.shape != part.shape:
            raise ValueError(
                f"{part.name} has shape {value.shape}, but {_files.CONFIG} asks for {part.shape}."
            )
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise ValueError(
                f"{part.name} has dtype {value.dtype}; quantized checkpoints cannot be read, "
                "save the model in a floating dtype."
            )
        array[part.layer] = part.turn(value)
    return jnp.asarray(array)


def _root(form, name):
    return name.removeprefix(form.prefix).split(".")[0]


def _listed(names):
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
