"""From pictures to arrays, as image processors of Hugging Face make them.

    pixel_values = (resized pixels / 255 - mean) / std

A picture is resized and normalized when a batch needs it, so a split takes the memory of its bytes.
"""

import dataclasses
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from experiments.tasks._example import ImageExample
from experiments.tasks._padding import Indices


@dataclasses.dataclass(frozen=True)
class ImageFormat:
    """What a model wants its pictures to be like.

    Attributes:
      size: height and width in pixels.
      channels: 1 for gray, 3 for color; pictures are turned into what is wanted.
      mean: that is subtracted, one number for all channels or one for each.
      std: that is divided by, in the same way.
    """

    size: int
    channels: int = 3
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)

    @classmethod
    def of_config(cls, config: Mapping[str, Any], *, channels: int = 3) -> "ImageFormat":
        """Reads what a parsed `preprocessor_config.json` says.

        Raises:
          ValueError: if it wants something else than square pictures.
        """
        size = config.get("size", 224)
        sides = (size.get("height"), size.get("width")) if isinstance(size, Mapping) else (size,)
        if not isinstance(sides[0], int) or sides[0] != sides[-1]:
            raise ValueError(f"size must be a square of so many pixels; got {size!r}")
        rescaled, factor = config.get("do_rescale", True), config.get("rescale_factor", 1 / 255)
        if rescaled is not True or not _is_finite(factor) or not math.isclose(factor * 255, 1):
            raise ValueError(
                f"pictures are divided by 255 here; got do_rescale {rescaled!r} and "
                f"rescale_factor {factor!r}"
            )
        if not config.get("do_normalize", True):
            return cls(sides[0], channels, (0.0,), (1.0,))
        given = [config.get(f"image_{name}", (0.5,)) for name in ("mean", "std")]
        mean, std = (tuple(x) if isinstance(x, list | tuple) else (x,) for x in given)
        return cls(sides[0], channels, mean, std)

    def __post_init__(self):
        if self.size < 1 or self.channels not in (1, 3):
            raise ValueError(
                f"size must be at least 1 and channels 1 or 3; got {self.size} and {self.channels}"
            )
        for name in ("mean", "std"):
            numbers = getattr(self, name)
            if len(numbers) not in (1, self.channels) or not all(map(_is_finite, numbers)):
                raise ValueError(
                    f"{name} must have one number or one for each of the {self.channels} channels, "
                    f"all finite; got {numbers}"
                )
        if not all(self.std):
            raise ValueError(f"std is divided by, so it must not be 0; got {self.std}")


@dataclasses.dataclass(frozen=True)
class ImageSplit:
    """A split in pictures.

    Attributes:
      pixels: the pictures, uint8, each (height, width, 1 or 3).
      labels: classes, shape (examples,), int32.
      form: what the model wants.
    """

    pixels: list[np.ndarray]
    labels: np.ndarray
    form: ImageFormat
    num_sequences = 1
    num_truncated = 0

    def lengths(self) -> np.ndarray:
        """Zeros, shape (examples,): all pictures have one size in a batch."""
        return np.zeros(len(self.labels), np.int32)

    def batch(self, indices: Indices, whole: Indices | None = None) -> dict[str, np.ndarray]:
        """Returns `pixel_values` (B, channels, size, size) float32 and `labels` (B,) int32.

        Args:
          indices: of the examples.
          whole: means nothing to pictures.
        """
        del whole
        resized = np.stack([_resize(self.pixels[index], self.form) for index in indices])
        mean, std = np.float32(self.form.mean), np.float32(self.form.std)
        normalized = (resized.astype(np.float32) / 255 - mean) / std
        return {
            "pixel_values": np.ascontiguousarray(normalized.transpose(0, 3, 1, 2)),
            "labels": self.labels[np.asarray(indices)],
        }

    def pieces(self) -> "ImageSplit":
        """What is scored at a time: a picture scores all of its classes."""
        return self

    def gather(self, scores: np.ndarray) -> np.ndarray:
        """From scores of the pieces to those of the examples: the same."""
        return scores


def encode_images(
    form: ImageFormat, splits: dict[str, list[ImageExample]], *, max_length: int | None = None
) -> dict[str, ImageSplit]:
    """Makes all splits ready for batches; `max_length` means nothing to pictures."""
    del max_length
    return {
        name: ImageSplit(
            pixels=[example.pixels for example in examples],
            labels=np.array([example.label for example in examples], np.int32),
            form=form,
        )
        for name, examples in splits.items()
    }


def to_pixels(picture: Any) -> np.ndarray:
    """Reads a picture: of PIL, the bytes of a file as parquet has them, or nested lists.

    Returns:
      Pixels (height, width, 1 or 3), uint8.

    Raises:
      ValueError: if it is none of these.
    """
    if isinstance(picture, Mapping) and picture.get("bytes"):
        picture = _decode(picture["bytes"])
    if isinstance(picture, Image.Image):
        picture = np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))
    try:
        pixels = np.asarray(picture)
    except (TypeError, ValueError, OverflowError):  # lists of different lengths
        pixels = np.array(None)
    if pixels.dtype.kind not in "iu":
        raise ValueError(
            "a picture must be an image file or nested lists of integers from 0 to 255"
        )
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    whole = pixels.ndim == 3 and pixels.shape[-1] in (1, 3) and pixels.size > 0
    if not whole or pixels.min() < 0 or pixels.max() > 255:
        raise ValueError(
            "a picture must have shape (height, width) or (height, width, 3) and values from 0 to "
            f"255; got shape {pixels.shape}"
        )
    return pixels.astype(np.uint8)


def _decode(content: Any) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(content))
        picture.load()
    # What damaged files make of its decoders is of no certain kind; too large ones are among it.
    except Exception as error:
        raise ValueError(f"a picture cannot be decoded ({error})") from None
    return picture


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)


def _resize(pixels: np.ndarray, form: ImageFormat) -> np.ndarray:
    gray = pixels.shape[-1] == 1
    picture = Image.fromarray(pixels[..., 0] if gray else pixels)
    picture = picture.convert("L" if form.channels == 1 else "RGB")
    if picture.size != (form.size, form.size):
        picture = picture.resize((form.size, form.size), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(form.size, form.size, form.channels)
