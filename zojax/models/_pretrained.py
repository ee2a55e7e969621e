"""From a name to a model: the families that exist and the one function that loads them."""

import os

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _files, _load
from zojax.models.opt import OPT, OPTConfig

_FAMILIES = {"opt": (OPT, OPTConfig)}


def from_pretrained(path_or_id: str | os.PathLike, *, dtype: DTypeLike = jnp.float32) -> nnx.Module:
    """Loads a causal language model from a Hugging Face checkpoint.

    The weights are, in this order of preference, `model.safetensors`, `flax_model.msgpack` or
    `pytorch_model.bin` (this one needs torch), each in one file or in shards. Tensors are read one
    at a time: the peak of memory is the model plus its largest parameter (for msgpack, plus what
    is still unread).

    Args:
      path_or_id: a folder with `config.json` and weights, or the id of a model on the Hub, such as
        "facebook/opt-125m", which is downloaded once and kept in the Hub's cache.
      dtype: the floating dtype of the weights, whatever it is in the file.

    Returns:
      The model, its family chosen by `model_type` in `config.json`; `model(input_ids,
      attention_mask=None)` gives float32 logits, (batch, length, vocab_size).

    Raises:
      FileNotFoundError: if there is no such folder or model, or `config.json`, all weight files or
        a shard is missing.
      ValueError: if the family is unknown, or config and tensors disagree: a tensor is missing,
        has another shape, or has no place.
      ImportError: if the only weights are PyTorch's and torch is not installed.

    Warns:
      UserWarning: if the file holds further heads, such as a classifier's, which are left out.
    """
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"dtype must be a floating dtype such as jnp.float32, not {dtype!r}.")
    folder = _files.locate(path_or_id)
    settings = _files.read_config(folder)
    model_type = settings.get("model_type")
    if model_type not in _FAMILIES:
        raise ValueError(
            f"model_type is {model_type!r} in {folder / _files.CONFIG}; "
            f"zojax.models has {', '.join(sorted(_FAMILIES))}."
        )
    family, config_class = _FAMILIES[model_type]
    return _load.load(family, config_class.from_dict(settings), folder, dtype)
