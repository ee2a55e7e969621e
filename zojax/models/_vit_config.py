"""The settings of a ViT, as its `config.json` has them."""

import dataclasses
from typing import ClassVar

from zojax.models import _config
from zojax.models._fields import Depth, NotNegative, Size


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
      ValueError: if a setting is not what its annotation says, the heads do not divide
        `hidden_size`, or a patch is larger than the image.
    """

    model_type: ClassVar[str] = "vit"

    hidden_size: Size = 768
    num_hidden_layers: Depth = 12
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: str = "gelu"
    initializer_range: NotNegative = 0.02
    layer_norm_eps: NotNegative = 1e-12
    image_size: Size | tuple[Size, Size] = 224
    patch_size: Size | tuple[Size, Size] = 16
    num_channels: Size = 3
    qkv_bias: bool = True
    labels: tuple[str, ...] = _config.unnamed(2)

    def __post_init__(self):
        super().__post_init__()
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


def _sides(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
