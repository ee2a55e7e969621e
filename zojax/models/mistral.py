"""Mistral as a Flax NNX module: Mistral 7B, Mistral Nemo and models of their architecture.

Equations (1) to (5) of `zojax.models.llama` without biases. With a `sliding_window` of w a token
sees itself and the w - 1 tokens before, in every layer; d layers then reach d (w - 1) back.

Reference: Jiang et al., "Mistral 7B", arXiv:2310.06825. Names of settings, modules and tensors are
those of the Hugging Face files.
"""

import dataclasses
from typing import ClassVar

from zojax.models._fields import Size
from zojax.models._gated_decoder import GatedDecoder
from zojax.models._gated_layers import Extras
from zojax.models._windowed_config import WindowedConfig


@dataclasses.dataclass(frozen=True)
class MistralConfig(WindowedConfig):
    """Settings of a Mistral model: those of `WindowedConfig`."""

    model_type: ClassVar[str] = "mistral"

    intermediate_size: Size = 14336
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Size = 131072
    bos_token_id: int | None = 1
    eos_token_id: int | tuple[int, ...] | None = 2
    sliding_window: Size | None = 4096


class Mistral(GatedDecoder):
    """A model of the Mistral family.

    Attributes:
      config: the settings, a `MistralConfig`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import Mistral, MistralConfig
      >>> config = MistralConfig(vocab_size=32, hidden_size=8, intermediate_size=16,
      ...                        num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
      ...                        sliding_window=2)
      >>> model = Mistral(config, rngs=nnx.Rngs(0))
      >>> first, second = model(jnp.array([[5, 6, 7], [8, 6, 7]]))
      >>> bool(jnp.all(first[2] == second[2]))  # the third token sees two
      True
    """

    config_class = MistralConfig
    architectures: ClassVar = {
        "language_model": "MistralForCausalLM",
        "classifier": "MistralForSequenceClassification",
        None: "MistralModel",
    }

    @staticmethod
    def _extras(config: MistralConfig) -> Extras:
        del config
        return Extras()
