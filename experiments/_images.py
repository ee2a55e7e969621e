"""How a model wants its pictures: the `preprocessor_config.json` beside its weights."""

import dataclasses
import json
from pathlib import Path

import huggingface_hub
from flax import nnx
from huggingface_hub.errors import EntryNotFoundError

from experiments import tasks
from zojax.models._files import inside, read_object

_FILE = "preprocessor_config.json"


def image_format(source: str, model: nnx.Module) -> tasks.ImageFormat:
    """Returns what the file says, or without one what the model's config does.

    Args:
      source: folder or Hugging Face id of a checkpoint.
      model: that was read from there.

    Raises:
      ValueError: if the model takes other than square pictures, or the file says what cannot be.
    """
    config = model.config
    height, width = config.image_shape
    if height != width:
        raise ValueError(
            f"model {source!r} takes pictures of {height} × {width} pixels; only square ones can "
            "be made here"
        )
    path = inside(Path(source), _FILE) if Path(source).is_dir() else _download(source)
    given = read_object(path) if path and path.is_file() else {}
    try:
        form = tasks.ImageFormat.of_config(given, channels=config.num_channels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return dataclasses.replace(form, size=height)


def save_image_format(form: tasks.ImageFormat, folder: Path) -> None:
    """Writes the file for image processors of `transformers`."""
    settings = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": form.size, "width": form.size},
        "resample": 2,  # bilinear
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [*form.mean] * (form.channels // len(form.mean)),
        "image_std": [*form.std] * (form.channels // len(form.std)),
    }
    (folder / _FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _download(model_id: str) -> Path | None:
    try:
        return Path(huggingface_hub.hf_hub_download(model_id, _FILE))
    except EntryNotFoundError:
        return None
