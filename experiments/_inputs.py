"""What a run starts from: the model and its tokenizer."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from experiments import tasks
from experiments._images import image_format, save_image_format
from zojax import models
from zojax.models._files import inside
from zojax.models._pretrained import read_config

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import PreTrainedTokenizerBase

_ASSETS = Path(__file__).parent / "assets"
_OF_TOKENIZERS = (".json", ".txt", ".model", ".jinja")
_LONGEST = 2048


def load_model(
    model: str,
    dtype: str,
    task: tasks.Task,
    key: jax.Array,
    placement: Mapping[str, Any] | None = None,
    *,
    allow_pickle: bool = False,
) -> tuple[nnx.Module, "PreTrainedTokenizerBase | tasks.ImageFormat"]:
    """Returns a model with the head that a task needs, and what makes arrays for it.

    Args:
      model: name of a folder in experiments/assets, path of a folder, or Hugging Face id.
      dtype: of the weights.
      task: what the model is asked; it has the first head of its kind.
      key: starts a classifier that the checkpoint lacks.
      placement: `mesh` and `rules` of `zojax.models.from_pretrained`, if weights are cut.
      allow_pickle: whether weights are read of a pickle, if there are no others.

    Raises:
      ValueError: if there is no tokenizer, or it knows more tokens than the model; if the model
        has no head for the task.
    """
    source = model_source(model)
    settings = {"head": task.kind.heads[0], "dtype": jnp.dtype(dtype), "allow_pickle": allow_pickle}
    settings |= placement or {}
    if isinstance(task.kind, tasks.Images):
        settings |= {"num_labels": task.kind.num_labels, "key": key}
        network = models.from_pretrained(source, **settings)
        return network, image_format(source, network)
    tokenizer = _load_tokenizer(source)
    if isinstance(task.kind, tasks.TextClassification):
        settings |= {"labels": task.kind.options or None, "key": key}
    network = models.from_pretrained(source, **settings)
    largest = max(tokenizer.get_vocab().values())
    if largest >= network.config.vocab_size:
        raise ValueError(
            f"model {source!r}: its tokenizer has ids up to {largest}, but the model's vocabulary "
            f"has only {network.config.vocab_size} entries; they do not belong together"
        )
    return network, tokenizer


def load_processor(
    source: str, network: nnx.Module
) -> "PreTrainedTokenizerBase | tasks.ImageFormat":
    """What made the arrays for a model that was read from `source`."""
    if hasattr(network.config, "image_shape"):
        return image_format(source, network)
    return _load_tokenizer(source)


def model_source(model: str) -> str:
    """The folder of a shipped model; what is no shipped name stays as it is."""
    shipped = _ASSETS / model
    return str(shipped) if shipped.is_dir() else model


def checked_length(max_length: int | None, model: nnx.Module, *, taken: int = 0) -> int:
    """Returns how long sequences may be: what is given, or what the model can, at most 2048.

    Models for pictures have no sequences of tokens, and any length does.

    Args:
      max_length: what is given, None for nothing.
      model: whose config says how many positions it has.
      taken: positions that an adapter takes.

    Raises:
      ValueError: if the model has fewer positions.
    """
    longest = getattr(model.config, "max_position_embeddings", _LONGEST)
    positions = getattr(model.config, "longest", longest) - taken
    length = min(positions, _LONGEST) if max_length is None else max_length
    if not 3 <= length <= positions:
        raise ValueError(
            f"max_length must lie between 3 and {positions}, the positions of the model"
            + (f" that the adapter leaves ({taken} are its own)" if taken else "")
            + f"; got {length}"
        )
    return length


def save_processor(processor: "PreTrainedTokenizerBase | tasks.ImageFormat", folder: Path) -> None:
    """Writes what made the arrays beside the model that took them."""
    if isinstance(processor, tasks.ImageFormat):
        save_image_format(processor, folder)
    else:
        processor.save_pretrained(folder)


def shipped_models() -> list[Path]:
    """The folders of the models that need no download."""
    return sorted(path.parent for path in _ASSETS.glob("*/config.json"))


def _load_tokenizer(source: str) -> "PreTrainedTokenizerBase":
    # Without this, transformers says at import that there is no PyTorch. We need none.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import AutoTokenizer

    remedy = "it takes the folder or the Hugging Face id of a model with its tokenizer files"
    _check_folder(Path(source))
    try:
        # Left to itself, transformers asks at the terminal whether code of the model may run.
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # what broken files make of tokenizers is of no certain kind
        raise ValueError(
            f"model {source!r}: no tokenizer can be read there; {remedy} ({error})"
        ) from None
    # Where the files are missing, transformers may make up a tokenizer without words.
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise ValueError(f"model {source!r}: the tokenizer there is empty; {remedy}")
    return tokenizer


def _check_folder(folder: Path) -> None:
    """Refuses files that lead out of the folder of a model, and a config that is none.

    Here, since transformers reads both when it looks for a tokenizer.
    """
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.suffix in _OF_TOKENIZERS:
            inside(folder, path.name)
    if (folder / "config.json").exists():
        read_config(folder)
