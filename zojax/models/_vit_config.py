"""The settings of a ViT, as its `config.json` has them."""

import dataclasses
from typing import ClassVar

from zojax.models import _config


@dataclasses.dataclass(frozen=True)
class ViTConfig(_config.Config):
    """Settings of a ViT; names, meanings and defaults of Hugging Face's `config.json`.

    Attributes:
      hidden_size: width of the layers.
      num_hidden_layers: depth.
      num_attention_heads: heads; divides `hidden_size`.
      intermediate_size: inner width of the feed-forward blocks.
      hidden_act: between the two maps of a feed-forward block.
      initializer_range: standard deviation of new weights.
      layer_norm_eps: added to the variance in the norms.
      image_size: height and width of an image, one number where they are equal.
      patch_size: height and width of a patch, likewise; what of the image is beyond the last whole
        patch is not looked at.
      num_channels: of an image.
      qkv_bias: whether the maps to queries, keys and values have biases.
      labels: names of the outputs of a classifier.

    Raises:
      ValueError: if a size is below 1, the heads do not divide `hidden_size`, or a patch is larger
        than the image.
    """

    model_type: ClassVar[str] = "vit"

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    image_size: int | tuple[int, int] = 224
    patch_size: int | tuple[int, int] = 16
    num_channels: int = 3
    qkv_bias: bool = True
    labels: tuple[str, ...] = _config.unnamed(2)

    def __post_init__(self):
        for name in ("image_size", "patch_size"):
            object.__setattr__(self, name, _config.hashable(getattr(self, name)))
            _check_sides(name, getattr(self, name))
        _config.check_sizes(self, _SIZES)
        _config.check_divides(self, "num_attention_heads", "hidden_size")
        if min(self.grid_shape) < 1:
            raise ValueError(
                f"patch_size = {self.patch_size} must be at most image_size = {self.image_size}."
            )

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of an image."""
        return _sides(self.image_size)

    @property
    def patch_shape(self) -> tuple[int, int]:
        """Height and width of a patch."""
        return _sides(self.patch_size)

    @property
    def grid_shape(self) -> tuple[int, int]:
        """How many patches an image has below and beside one another."""
        image, patch = self.image_shape, self.patch_shape
        return image[0] // patch[0], image[1] // patch[1]


_SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "num_channels",
)


def _sides(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _check_sides(name: str, size: object) -> None:
    sides = size if isinstance(size, tuple) else (size, size)
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(
            f"{name} must be an integer of at least 1, or a height and a width, not {size!r}."
        )
