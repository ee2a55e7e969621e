"""From a name to a model: the families that exist and the one function that loads them."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from jax.typing import DTypeLike

from zojax._typing import Key
from zojax.models import _config, _fields, _files, _heads, _load
from zojax.models._heads import Head, Heads
from zojax.models._placement import Placement, Rules
from zojax.models.bert import BERT
from zojax.models.distilbert import DistilBERT
from zojax.models.gemma2 import Gemma2
from zojax.models.gemma3 import Gemma3
from zojax.models.gpt2 import GPT2
from zojax.models.llama import Llama
from zojax.models.mistral import Mistral
from zojax.models.modernbert import ModernBERT
from zojax.models.opt import OPT
from zojax.models.phi3 import Phi3
from zojax.models.qwen2 import Qwen2
from zojax.models.qwen3 import Qwen3
from zojax.models.roberta import RoBERTa
from zojax.models.smollm3 import SmolLM3
from zojax.models.vit import ViT
from zojax.noise import _keys

_FAMILIES = (
    *(BERT, DistilBERT, Gemma2, Gemma3, GPT2, Llama, Mistral, ModernBERT, OPT, Phi3, Qwen2, Qwen3),
    *(RoBERTa, SmolLM3, ViT),
)


def families() -> dict[str, type[nnx.Module]]:
    """The families of models: `model_type` in a `config.json` → class."""
    return {family.config_class.model_type: family for family in _FAMILIES}


def read_heads(path_or_id: str | os.PathLike, *, allow_pickle: bool = False) -> Heads:
    """The heads that a checkpoint has or can be loaded with, from its `config.json`.

    Args:
      path_or_id: as of `from_pretrained`, whose errors are those here.
      allow_pickle: likewise.
    """
    folder = _files.locate(path_or_id, allow_pickle=allow_pickle)
    family, config, own = read_config(folder)
    labels = config.labels if own == "classifier" else ()
    named = labels != _config.unnamed(len(labels))
    return Heads(own, tuple(family.architectures), labels if named else ())


def from_pretrained(
    path_or_id: str | os.PathLike,
    *,
    dtype: DTypeLike = jnp.float32,
    head: Head | Literal["checkpoint"] | None = "checkpoint",
    num_labels: int | None = None,
    labels: Sequence[str] | None = None,
    key: Key | None = None,
    mesh: Mesh | None = None,
    rules: Rules = (),
    allow_pickle: bool = False,
) -> nnx.Module:
    """Loads a model from a Hugging Face checkpoint.

    The weights are, in this order of preference, `model.safetensors`, `flax_model.msgpack` or, with
    `allow_pickle`, `pytorch_model.bin`, each in one file or in shards. Parameters are read one at a
    time, and of safetensors the block of each device alone: the peak of memory is what the devices
    hold plus the largest block (for msgpack, plus what is still unread).

    A checkpoint is not trusted. No code in it is run: what its config says of code of its own
    (`auto_map`) is left aside, and a model that no family here describes is refused. No file
    outside of its folder is read, whatever its links and its index say; the links of the Hub's own
    cache are followed. Config and tensors are compared by names, shapes and dtypes before anything
    is built.

    Args:
      path_or_id: a folder with `config.json` and weights, or the id of a model on the Hub, such as
        "facebook/opt-125m", which is downloaded once and kept in the Hub's cache.
      dtype: the floating dtype of the weights, whatever it is in the file.
      head: "language_model", "masked_language_model" or "classifier", where the family has it; None
        for the last hidden states; by default that of the checkpoint.
      num_labels: outputs of a classifier; None for what `config.json` says.
      labels: names of these outputs, in place of their number.
      key: starts a classifier that the checkpoint lacks; None refuses such a checkpoint.
      mesh: the devices to spread the weights over; None for the default device.
      rules: pairs of a pattern and a `jax.sharding.PartitionSpec`, such as
        `("q_proj.kernel", PartitionSpec(None, None, "model"))`. A pattern is the end of a
        parameter's dotted path, in whole names and with the wildcards of a shell; the first that
        matches gives the spec of the parameter, which for stacked layers begins with their axis.
        Parameters that none matches are replicated. Or a function of path and shape to a spec, such
        as `zojax.models.tensor_parallel(mesh, "model")` or `fully_sharded(mesh, "model")`.
      allow_pickle: whether `pytorch_model.bin` is read where there is nothing else. It is a pickle;
        torch, which has to be installed, reads it with `weights_only=True`, so that no code in it
        runs.

    Returns:
      The model, its family chosen by `model_type` in `config.json`.

    Raises:
      FileNotFoundError: if there is no such folder or model, or `config.json`, all weight files or
        a shard is missing.
      ValueError: if the family or the head is unknown, a setting is not what it should be, config
        and tensors disagree (a tensor is missing, has another shape, or has no place), tensors are
        quantized, a file is damaged or outside of the folder, a rule fits no parameter, or the
        checkpoint has a classifier of another number of labels, or of the same ones in another
        order.
      TypeError: if the key is no typed key.
      ImportError: if the only weights are PyTorch's and torch is not installed.

    Warns:
      UserWarning: if the file holds further heads, such as a classifier's, which are left out.
    """
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"dtype must be a floating dtype such as jnp.float32, not {dtype!r}.")
    if key is not None:
        _keys.check(key)
    if num_labels is not None:
        _config.check_num_labels(num_labels)
        labels = _config.unnamed(num_labels) if labels is None else labels
    folder = _files.locate(path_or_id, allow_pickle=allow_pickle)
    family, config, own = read_config(folder)
    head = own if head == "checkpoint" else head
    _heads.check(family.architectures, head)
    if labels is not None:
        if head == own == "classifier":
            _check_labels(config.labels, tuple(labels), folder)
        config = dataclasses.replace(config, labels=tuple(labels))
    return _load.load(
        family,
        config,
        head,
        folder,
        dtype=dtype,
        rngs=None if key is None else nnx.Rngs(key),
        placement=Placement(mesh, rules),
        allow_pickle=allow_pickle,
    )


def read_config(folder: Path) -> tuple[type[nnx.Module], _config.Config, Head | None]:
    """Reads `config.json`: the family, its settings, and the head that the checkpoint has.

    Raises:
      FileNotFoundError: if it is missing.
      ValueError: if the family is unknown or a setting is not what it should be, naming the file.
    """
    settings = _files.read_config(folder)
    with _files.naming(folder / _files.CONFIG):
        family = _family(settings)
        head = _heads.of_checkpoint(family.architectures, settings)
        return family, family.config_class.from_dict(settings), head


def _family(settings):
    known, model_type = families(), settings.get("model_type")
    if not isinstance(model_type, str) or model_type not in known:
        own = settings.get("auto_map")
        code = f" Its own code (auto_map = {_fields.shown(own)}) is not run." if own else ""
        raise ValueError(
            f"model_type is {_fields.shown(model_type)}; zojax.models has "
            f"{', '.join(sorted(known))}.{code}"
        )
    return known[model_type]


def _check_labels(stored: tuple[str, ...], labels: tuple[str, ...], folder: Path) -> None:
    """Refuses to call the outputs of a trained classifier what they are not."""
    if len(stored) != len(labels):
        raise ValueError(
            f"{folder} has a classifier of {len(stored)} labels, and {len(labels)} are asked for; "
            "take a checkpoint without a classifier to start a new one"
        )
    if stored != labels and sorted(stored) == sorted(labels):
        raise ValueError(
            f"{folder} has a classifier of the labels {', '.join(stored)}, in this order; "
            f"got {', '.join(labels)}"
        )
