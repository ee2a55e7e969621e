"""Phi-3 as a Flax NNX module: Phi-3, Phi-3.5 and Phi-4 and their small variants.

Equations (1) to (5) of `zojax.models.llama` without biases, with one matrix for all queries, keys
and values, [Q K V], and one for [G U]. `partial_rotary_factor` turns the first entries of each head
only. With a `sliding_window` of w a token sees itself and the w - 1 tokens before.

Where the positions are of type "longrope", the frequencies of a row depend on how long it is, and
in generation on how long it may become. `transformers` takes the longest row of a batch, and turns
everything anew once a text that it generates passes `original_max_position_embeddings`.

Reference: Abdin et al., "Phi-3 Technical Report", arXiv:2404.14219. Names of settings, modules and
tensors are those of the Hugging Face files.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from zojax.models._fields import NotNegative, Size
from zojax.models._gated_decoder import GatedDecoder
from zojax.models._gated_layers import Extras
from zojax.models._rope import Rope
from zojax.models._windowed_config import WindowedConfig


@dataclasses.dataclass(frozen=True)
class Phi3Config(WindowedConfig):
    """Settings of a Phi-3 model: those of `WindowedConfig`, and the length of pretraining.

    Attributes:
      original_max_position_embeddings: the longest sequence of pretraining, which "longrope" needs.
    """

    model_type: ClassVar[str] = "phi3"
    _turns_parts: ClassVar[bool] = True

    vocab_size: Size = 32064
    hidden_size: Size = 3072
    intermediate_size: Size = 8192
    max_position_embeddings: Size = 4096
    rms_norm_eps: NotNegative = 1e-5
    pad_token_id: int | None = 32000
    bos_token_id: int | None = 1
    eos_token_id: int | tuple[int, ...] | None = 32000
    original_max_position_embeddings: Size = 4096

    def _rope(self, given: Rope | Mapping[str, Any] | None) -> Rope:
        if isinstance(given, Rope):
            return super()._rope(given)
        rope = dict(given or {})
        kind = rope.pop("type", None) or rope.get("rope_type", "default")
        if kind != "default":  # "su" and "yarn" are its names in the first files
            kind = "longrope" if kind in ("su", "yarn") else kind
            rope["original_max_position_embeddings"] = self.original_max_position_embeddings
        return super()._rope(rope | {"rope_type": kind})


class Phi3(GatedDecoder):
    """A model of the Phi-3 family.

    Attributes:
      config: the settings, a `Phi3Config`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import Phi3, Phi3Config
      >>> config = Phi3Config(vocab_size=32, hidden_size=8, intermediate_size=16,
      ...                     num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
      >>> model = Phi3(config, rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["layers"]["self_attn"]["qkv_proj"]["kernel"].shape
      (2, 8, 16)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 3, 32)
    """

    config_class = Phi3Config
    architectures: ClassVar = {
        "language_model": "Phi3ForCausalLM",
        "classifier": "Phi3ForSequenceClassification",
        None: "Phi3Model",
    }

    @staticmethod
    def _extras(config: Phi3Config) -> Extras:
        del config
        return Extras(fused=True)
