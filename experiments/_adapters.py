"""What of a model is trained: all of its weights, or an adapter beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from zojax import lora, models, prefix

# What the families call the layers that make queries and values; some have one for both.
_QUERY_AND_VALUE = (("q_proj", "v_proj"), ("query", "value"), ("c_attn",), ("qkv_proj",))


class AdapterSettings(Protocol):
    """What an adapter is told of the settings of a run."""

    @property
    def rank(self) -> int: ...
    @property
    def scale(self) -> float: ...
    @property
    def targets(self) -> tuple[str, ...] | None: ...
    @property
    def prefix_length(self) -> int: ...
    @property
    def adapter(self) -> str: ...
    @property
    def quantize(self) -> str | None: ...


def classifier_of(model: nnx.Module) -> tuple[str, ...]:
    """The modules of a model's classifier, which is trained beside an adapter; none for words."""
    return model.checkpoint_format.new if model.head == "classifier" else ()


class Adapter(NamedTuple):
    """One choice of what is trained.

    Attributes:
      trained: the class of the variables that are trained.
      adapt: from a model, settings and a key to the model with what is trained in it.
      export: writes the adapter of a model to a folder, given where the model without it came
        from, and returns the model to write beside it.
      positions: how many of the model's positions it takes, by the settings.
      radius: how far from the weights the loss is probed, as in MeZO's runs on OPT; None: what the
        method says.
    """

    trained: Any
    adapt: Callable[[nnx.Module, AdapterSettings, jax.Array], nnx.Module]
    export: Callable[[nnx.Module, Path, str], nnx.Module]
    positions: Callable[[AdapterSettings], int] = lambda settings: 0
    radius: float | None = None


def _adapt_lora(model: nnx.Module, settings: AdapterSettings, key: jax.Array) -> nnx.Module:
    targets = settings.targets or _query_and_value(model)
    adapted = lora.adapt(model, targets, rank=settings.rank, scale=settings.scale, key=key)
    inside = models.in_modules(model, classifier_of(model))
    for path, factor in nnx.to_flat_state(nnx.state(adapted, nnx.LoRAParam)):
        if inside(path, factor):
            raise ValueError(
                f"targets: {'.'.join(path[:-1])} is a part of the classifier, which is trained "
                "as a whole; name layers outside it"
            )
    return adapted


def _query_and_value(model: nnx.Module) -> tuple[str, ...]:
    names = {path[-1] for path, _ in nnx.iter_modules(model) if path}
    for targets in _QUERY_AND_VALUE:
        if names.issuperset(targets):
            return targets
    raise ValueError(
        f"targets: {type(model).__name__} has no layers of the usual names; name those to adapt, "
        "such as --targets q_proj v_proj"
    )


def _export_lora(model: nnx.Module, folder: Path, base_model: str) -> nnx.Module:
    """LoRA can be added to the weights: the model that is written beside it needs no adapter."""
    lora.save_peft(model, folder, base_model=base_model, modules_to_save=classifier_of(model))
    return lora.merge(model)


def _adapt_prefix(model: nnx.Module, settings: AdapterSettings, key: jax.Array) -> nnx.Module:
    return prefix.adapt(model, length=settings.prefix_length, key=key)


def _export_prefix(model: nnx.Module, folder: Path, base_model: str) -> nnx.Module:
    """A prefix is no part of any weight: the model beside it has a new classifier at most."""
    if hasattr(model, "extend"):
        prefix.save_peft(model, folder, base_model=base_model, modules_to_save=classifier_of(model))
    else:  # PEFT has prefixes for decoders alone
        folder.mkdir(parents=True, exist_ok=True)
        state = nnx.to_flat_state(nnx.state(model, prefix.PrefixParam))
        arrays = {path[-1]: np.asarray(param[...]) for path, param in state}
        save_file(arrays, folder / "prefix.safetensors")
    return prefix.remove(model)


ADAPTERS: dict[str, Adapter] = {
    "none": Adapter(nnx.Param, lambda model, *_: model, lambda model, *_: model),
    "lora": Adapter(nnx.LoRAParam, _adapt_lora, _export_lora, radius=1e-2),
    "prefix": Adapter(
        prefix.PrefixParam,
        _adapt_prefix,
        _export_prefix,
        positions=lambda settings: settings.prefix_length,
        radius=1e-1,
    ),
}


def adapt(model: nnx.Module, settings: AdapterSettings, key: jax.Array) -> nnx.Module:
    """The model with the adapter that settings ask for, beside quantized weights if they do."""
    model = ADAPTERS[settings.adapter].adapt(model, settings, key)
    if settings.quantize is None:
        return model
    from zojax import quantization  # importing it takes a second

    return quantization.quantize(model, settings.quantize)
