"""Modules that are trained whole beside an adapter, in the files of PEFT: its `modules_to_save`.

    <start><module>.weight, <start><module>.bias      with the names and axes of the model's files

Offered are classifiers: what `checkpoint_format.new` names.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from zojax.models import _format

Tensors = dict[str, np.ndarray]
# PEFT names these two for every classifier, whichever of them it has.
_OF_PEFT = {"classifier", "score"}


def in_modules(model: nnx.Module, modules: Iterable[str]) -> Callable[[_format.Path, Any], bool]:
    """A filter of NNX: the parameters of some modules, under their names in Hugging Face's files.

    With it a classifier is trained beside an adapter:

        classifier = in_modules(model, model.checkpoint_format.new)
        graphdef, trained, frozen = nnx.split(model, nnx.Any(nnx.LoRAParam, classifier), ...)

    Args:
      model: of `zojax.models`.
      modules: names of modules of the whole model, such as "classifier".
    """
    form, chosen = model.checkpoint_format, frozenset(modules)
    return lambda path, _: _module(form, path) in chosen


def write(model: nnx.Module, modules: Iterable[str], start: str) -> Tensors:
    """The tensors of these modules.

    Args:
      model: of `zojax.models`; may have an adapter.
      modules: names of modules of the whole model, such as "classifier".
      start: of all names.

    Raises:
      ValueError: if the model has no such module, or an adapter inside it.
    """
    modules, tensors = tuple(modules), {}
    planned = _planned(model, modules) if modules else []
    for module in modules:
        if module not in _present(model):
            raise ValueError(
                f"modules_to_save names {module!r}, but of {type(model).__name__} with the head "
                f"{model.head!r} can be saved: {', '.join(_present(model)) or 'none'}"
            )
    for path, param, part in planned:
        if "base_module" in path:
            raise ValueError(
                f"modules_to_save names {_module(model.checkpoint_format, path)!r}, and inside it "
                f"{'.'.join(path[:-2])} has an adapter as well; leave one of them out"
            )
        tensors[start + _name(model, part)] = np.ascontiguousarray(
            part.to_file(np.asarray(param[...]))
        )
    return tensors


def read(
    model: nnx.Module, tensors: Tensors, start: str, named: Iterable[str] | None
) -> tuple[nnx.Module, Tensors]:
    """The model with the modules of which there are tensors, and the tensors that are left.

    Args:
      model: of `zojax.models`; stays as it is, and shares its other arrays with what is returned.
      tensors: of a file of PEFT.
      start: of all names.
      named: what the settings of the adapter have as `modules_to_save`.

    Raises:
      ValueError: if another module is named, or a tensor of a module is missing or has another
        shape.
    """
    form = getattr(model, "checkpoint_format", None)
    planned = [] if form is None else _planned(model, form.new)
    names = {path: start + _name(model, part) for path, _, part in planned}
    module = {path: _module(form, path) for path in names}
    whole = {module[path] for path, name in names.items() if name in tensors}
    _check_named(set(named or ()), set(module.values()), whole)
    if not whole:
        return model, tensors
    new = nnx.clone(model)  # variables of its own, around the same arrays
    places = dict(nnx.to_flat_state(nnx.state(new, nnx.Param)))
    for path, param, part in planned:
        if module[path] in whole:
            array = _checked(tensors, names[path], part.shape)
            value = part.to_parameter(array.reshape(part.plain))
            places[path] = param.replace(jnp.asarray(value, param.dtype))
    nnx.update(new, nnx.from_flat_state(list(places.items())))
    used = {name for path, name in names.items() if module[path] in whole}
    return new, {name: tensor for name, tensor in tensors.items() if name not in used}


def _check_named(named: set[str], present: set[str], whole: set[str]) -> None:
    if others := named - present - _OF_PEFT:
        raise ValueError(
            f"the adapter has modules_to_save = {sorted(others)}, which zojax does not offer for "
            f"this model; beside an adapter it reads classifiers: {sorted(present) or 'none here'}"
        )
    if missing := (named & present) - whole:
        raise ValueError(
            f"the adapter names {min(missing)} in modules_to_save, but lacks its tensors"
        )


def _present(model: nnx.Module) -> list[str]:
    form = model.checkpoint_format
    return sorted({_module(form, path) for path, *_ in _planned(model, form.new)})


def _planned(model: nnx.Module, modules: Iterable[str]) -> list[tuple]:
    """(path, parameter, tensor) for the parameters of these modules; none of them is stacked."""
    state, wanted = nnx.to_flat_state(nnx.state(model, nnx.Param)), in_modules(model, modules)
    chosen = [(path, param) for path, param in state if wanted(path, param)]
    plan = _format.plan(model.checkpoint_format, nnx.from_flat_state(chosen))
    return [(path, param, part) for path, param, (part,) in plan]


def _module(form: _format.Format, path: _format.Path) -> str:
    return form.name(path).removeprefix(form.prefix).split(".")[0]


def _name(model: nnx.Module, part: _format.Tensor) -> str:
    return model.checkpoint_format.module_name(part.name)


def _checked(tensors: Tensors, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in tensors:
        raise ValueError(f"the adapter lacks {name}, but holds other tensors of that module")
    if tensors[name].shape != shape:
        raise ValueError(
            f"{name} has shape {tensors[name].shape}, but the model given asks for {shape}; load "
            "it with num_labels, or labels, of the adapter"
        )
    return tensors[name]
