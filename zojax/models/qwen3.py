"""Qwen3 (the dense models) as a Flax NNX module.

Equations (1) to (5) of `zojax.models.llama`, with norms of every head's queries and keys before
they are turned, whose scales all heads of a layer share:

    q_h = R(p) norm(n Q_h),    k_g = R(p) norm(n K_g)                                (2')

`head_dim` is a setting of its own: heads times width may differ from `hidden_size`. The
feed-forward blocks have no biases. Some layers may see no further than a sliding window.

Reference: Yang et al., "Qwen3 Technical Report", arXiv:2505.09388. Names of settings, modules and
tensors are those of the Hugging Face files.
"""

import dataclasses
from typing import ClassVar

from zojax.models._fields import Size
from zojax.models._gated_decoder import GatedDecoder
from zojax.models._gated_layers import Extras
from zojax.models._qwen_config import QwenConfig


@dataclasses.dataclass(frozen=True)
class Qwen3Config(QwenConfig):
    """Settings of a Qwen3 model: those of `QwenConfig`, and whether attention has biases.

    Attributes:
      attention_bias: whether the linear maps of attention have biases.
    """

    model_type: ClassVar[str] = "qwen3"

    head_dim: Size | None = 128
    attention_bias: bool = False


class Qwen3(GatedDecoder):
    """A dense model of the Qwen3 family.

    Attributes:
      config: the settings, a `Qwen3Config`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import Qwen3, Qwen3Config
      >>> config = Qwen3Config(vocab_size=32, hidden_size=8, intermediate_size=16, head_dim=6,
      ...                      num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
      >>> model = Qwen3(config, rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["layers"]["self_attn"]["q_norm"]["scale"].shape
      (2, 6)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 3, 32)
    """

    config_class = Qwen3Config
    architectures: ClassVar = {
        "language_model": "Qwen3ForCausalLM",
        "classifier": "Qwen3ForSequenceClassification",
        None: "Qwen3Model",
    }

    @staticmethod
    def _extras(config: Qwen3Config) -> Extras:
        return Extras(qkv_bias=config.attention_bias, out_bias=config.attention_bias, qk_norm=True)
