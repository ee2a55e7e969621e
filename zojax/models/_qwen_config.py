"""The settings that Qwen2 and Qwen3 share."""

import dataclasses

from zojax.models._fields import Size
from zojax.models._layer_kinds import FULL, SLIDING
from zojax.models._windowed_config import MixedConfig


@dataclasses.dataclass(frozen=True)
class QwenConfig(MixedConfig):
    """Settings of a Qwen2 or Qwen3 model.

    Attributes:
      use_sliding_window: whether any layer has a window; without it `sliding_window` is None.
      max_window_layers: how many layers at the bottom have none, where `layer_types` is None.
    """

    vocab_size: Size = 151936
    intermediate_size: Size = 22016
    num_key_value_heads: Size | None = 32
    max_position_embeddings: Size = 32768
    use_sliding_window: bool = False
    max_window_layers: int = 28

    def __post_init__(self):
        if not self.use_sliding_window:
            object.__setattr__(self, "sliding_window", None)
        super().__post_init__()

    def pattern(self, layer: int) -> str:
        """The type of a layer, counted from 0, where `layer_types` does not say it."""
        windowed = self.sliding_window is not None and layer >= self.max_window_layers
        return SLIDING if windowed else FULL
