"""From the tensors of a checkpoint to a model, one block of a parameter at a time."""

import functools
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _files, _format
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

    Raises:
      ValueError: if a tensor is missing, has another shape, is not floating, or has no place.
    """
    build = functools.partial(family, config, head=head, dtype=dtype)
    graphdef, state = nnx.split(nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0))))
    form = nnx.merge(graphdef, state).checkpoint_format
    plan = _format.plan(form, state)
    placement.check({path: param.shape for path, param, _ in plan})
    tensors = _open(form, [tensor.name for _, _, parts in plan for tensor in parts], folder)
    _check_head(form, config, tensors, folder)
    new = _new_heads(form, plan, tensors) if rngs is not None else set()
    names = [part.name for path, _, parts in plan if path not in new for part in parts]
    _check_names(form, names, tensors, folder, warn=head is not None)
    fresh = _draw(build, new, rngs) if new else {}
    filled = [
        (path, param.replace(fresh[path] if path in new else _fill(placement, *entry, tensors)))
        for entry in plan
        for path, param, _ in [entry]
    ]
    return nnx.merge(graphdef, nnx.from_flat_state(filled))


def _open(form: _format.Format, names: list[str], folder: Path) -> _files.Tensors:
    """The tensors of the files under the names that we use."""
    known = {name.removeprefix(form.prefix): name for name in names}
    tensors = {}
    for name, stored in _files.open_tensors(folder).items():
        short = form.short_name(name)
        if short in form.ignored:
            continue
        used = known.get(short, name)
        if used in tensors and not np.array_equal(stored.whole(), tensors[used].whole()):
            raise ValueError(f"{folder} holds {used} twice, with other values as {name}.")
        tensors[used] = stored
    return tensors


def _check_head(form, config, tensors, folder):
    """Makes one of a head and a table that are tied; some files hold both, some only the head."""
    if not getattr(config, "tie_word_embeddings", False) or form.head not in tensors:
        return
    head = tensors.pop(form.head)
    table = form.table.removeprefix(form.prefix) if form.bare else form.table
    if not np.array_equal(head.whole(), tensors.setdefault(table, head).whole()):
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
    tensors: _files.Tensors,
) -> jax.Array:
    """Reads the tensors of one parameter into one array, each device's block for itself."""
    stored = [tensors.pop(part.name) for part in parts]
    for part, tensor in zip(parts, stored, strict=True):
        if tensor.shape != part.shape:
            raise ValueError(
                f"{part.name} has shape {tensor.shape}, but {_files.CONFIG} asks for {part.shape}."
            )

    def block(index: _files.Block) -> np.ndarray:
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
    part: _format.Tensor, stored: _files.Stored, index: _files.Block, dtype: DTypeLike
) -> np.ndarray:
    """One block of a parameter (of one layer of it), in its dtype."""
    block = tuple(index[part.axes.index(axis)] for axis in range(len(index)))
    if part.plain == part.shape:
        value = stored.read(block)
    else:
        value = stored.whole().reshape(part.plain)[block]
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            f"{part.name} has dtype {value.dtype}; quantized checkpoints cannot be read, "
            "save the model in a floating dtype."
        )
    return part.to_parameter(value).astype(dtype)


def _root(form, name):
    return name.removeprefix(form.prefix).split(".")[0]


def _listed(names):
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
