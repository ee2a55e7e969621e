"""From the tensors of a checkpoint to a model, one block of a parameter at a time."""

import functools
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _fields, _files, _format, _weights
from zojax.models._heads import Head
from zojax.models._placement import Placement


def load(
    family: type[nnx.Module],
    config: Any,
    head: Head | None,
    folder: Path,
    *,
    dtype: DTypeLike,
    rngs: nnx.Rngs | None,
    placement: Placement,
    allow_pickle: bool = False,
) -> nnx.Module:
    """Builds a model whose parameters come from the files in `folder`, cast to `dtype`.

    Args:
      family: the class of the model.
      config: its settings.
      head: its head.
      folder: with the files.
      dtype: of the weights.
      rngs: for a head that the files lack; None refuses that.
      placement: which devices hold what.
      allow_pickle: whether PyTorch's format is read where there is no other.

    Raises:
      ValueError: if a tensor is missing, has another shape, is not floating, or has no place. All
        of this is known from names, shapes and dtypes, before any tensor is read or drawn.
    """
    stored = _files.open_tensors(folder, allow_pickle=allow_pickle)
    _check_depth(config, stored, folder)
    build = functools.partial(family, config, head=head, dtype=dtype)
    with _files.naming(folder / _files.CONFIG):
        graphdef, state = nnx.split(nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0))))
    form = nnx.merge(graphdef, state).checkpoint_format
    plan = _format.plan(form, state)
    placement.check({path: param.shape for path, param, _ in plan})
    tensors = _rename(form, [part.name for _, _, parts in plan for part in parts], stored, folder)
    _check_head(form, config, tensors, folder)
    new = _new_heads(form, plan, tensors) if rngs is not None else set()
    names = [part.name for path, _, parts in plan if path not in new for part in parts]
    _check_names(form, names, tensors, folder, warn=head is not None)
    for path, _, parts in plan:
        if path not in new:
            _check_kinds(parts, tensors)
    fresh = _draw(build, new, rngs) if new else {}
    filled = [
        (path, param.replace(fresh[path] if path in new else _fill(placement, *entry, tensors)))
        for entry in plan
        for path, param, _ in [entry]
    ]
    return nnx.merge(graphdef, nnx.from_flat_state(filled))


def _check_depth(config, tensors, folder):
    """Refuses layers that cannot be in the files, before each gets a name."""
    for name, depth in _fields.depths(config).items():
        if depth > len(tensors):
            raise ValueError(
                f"{folder / _files.CONFIG}: {name} is {depth}, but the files beside it hold no "
                f"more than {len(tensors)} tensors. Config and weights are of different models."
            )


def _rename(
    form: _format.Format, names: list[str], found: _weights.Tensors, folder: Path
) -> _weights.Tensors:
    """The tensors of the files under the names that we use."""
    known = {name.removeprefix(form.prefix): name for name in names}
    tensors = {}
    for name, stored in found.items():
        short = form.short_name(name)
        if short in form.ignored:
            continue
        used = known.get(short, name)
        if used in tensors and not _same(used, stored, tensors[used]):
            raise ValueError(f"{folder} holds {used} twice, with other values as {name}.")
        tensors[used] = stored
    return tensors


def _check_head(form, config, tensors, folder):
    """Makes one of a head and a table that are tied; some files hold both, some only the head."""
    if not getattr(config, "tie_word_embeddings", False) or form.head not in tensors:
        return
    head = tensors.pop(form.head)
    table = form.table.removeprefix(form.prefix) if form.bare else form.table
    if not _same(table, head, tensors.setdefault(table, head)):
        raise ValueError(
            f"{folder / _files.CONFIG} ties the head to the token table, but {form.head} and "
            f"{table} differ; set tie_word_embeddings to false to use both."
        )


def _new_heads(form, plan, tensors) -> set[_format.Path]:
    """The paths of heads of which the files have nothing."""
    roots = {root for root in form.new if not any(_root(form, name) == root for name in tensors)}
    return {path for path, _, parts in plan if _root(form, parts[0].name) in roots}


def _check_names(form, names, tensors, folder, *, warn):
    """Refuses tensors that are missing or that belong to a larger body; warns of other heads."""
    missing = sorted(set(names) - set(tensors))
    if missing:
        new = any(_root(form, name) in form.new for name in missing)
        remedy = " Give a key to start a new head." if new else ""
        if not new and not any(name.startswith(form.prefix) for name in missing):
            remedy = " It was saved without this head; choose another one."
        raise ValueError(
            f"{folder} lacks {len(missing)} of the {len(names)} tensors that its "
            f"{_files.CONFIG} asks for: {_listed(missing)}.{remedy}"
        )
    roots = {_root(form, name) for name in names}
    extra = sorted(set(tensors) - set(names))
    inside = [name for name in extra if _root(form, name) in roots]
    if inside:
        raise ValueError(
            f"{folder} holds {len(inside)} tensors for which its {_files.CONFIG} has no place: "
            f"{_listed(inside)}. Config and weights are of different models."
        )
    if extra and warn:
        warnings.warn(
            f"{folder} holds tensors of another head, which are left out: {_listed(extra)}.",
            stacklevel=4,
        )


def _check_kinds(parts, tensors):
    """Refuses tensors of another shape, and such whose entries are not numbers as they stand."""
    for part in parts:
        tensor = tensors[part.name]
        if tensor.shape != part.shape:
            raise ValueError(
                f"{tensor.file}: {part.name} has shape {tensor.shape}, but {_files.CONFIG} asks "
                f"for {part.shape}."
            )
        _check_floating(part.name, tensor)


def _check_floating(name, tensor):
    if not tensor.is_floating:
        raise ValueError(
            f"{tensor.file}: {name} has dtype {tensor.dtype}; quantized checkpoints cannot be "
            "read, save the model in a floating dtype of 16 bits or more."
        )


def _same(name, left, right):
    """Whether two tensors hold the same numbers."""
    for tensor in (left, right):
        _check_floating(name, tensor)
    return left.shape == right.shape and np.array_equal(left.whole(), right.whole())


def _draw(build, new, rngs) -> dict[_format.Path, jax.Array]:
    """Draws the parameters of these paths, and no others: the rest is dead code to the compiler."""

    @jax.jit
    def draw(key):
        state = nnx.to_flat_state(nnx.state(build(rngs=nnx.Rngs(key))))
        return {".".join(map(str, path)): param[...] for path, param in state if path in new}

    drawn = draw(rngs())
    return {path: drawn[".".join(map(str, path))] for path in new}


def _fill(
    placement: Placement,
    path: _format.Path,
    param: nnx.Param,
    parts: list[_format.Tensor],
    tensors: _weights.Tensors,
) -> jax.Array:
    """Reads the tensors of one parameter into one array, each device's block for itself."""
    stored = [tensors.pop(part.name) for part in parts]

    def block(index: _weights.Block) -> np.ndarray:
        if parts[0].layer is ...:
            return _read(parts[0], stored[0], index, param.dtype)
        chosen = range(len(parts))[index[0]]
        shape = tuple(len(range(n)[s]) for n, s in zip(param.shape, index, strict=True))
        array = np.empty(shape, param.dtype)
        for place, layer in enumerate(chosen):
            array[place] = _read(parts[layer], stored[layer], index[1:], param.dtype)
        return array

    return placement.put(path, param.shape, block)


def _read(
    part: _format.Tensor, stored: _weights.Stored, index: _weights.Block, dtype: DTypeLike
) -> np.ndarray:
    """One block of a parameter (of one layer of it), in its dtype."""
    block = tuple(index[part.axes.index(axis)] for axis in range(len(index)))
    if part.plain == part.shape:
        value = stored.read(block)
    else:
        value = stored.whole().reshape(part.plain)[block]
    return part.to_parameter(value).astype(dtype)


def _root(form, name):
    return name.removeprefix(form.prefix).split(".")[0]


def _listed(names):
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
