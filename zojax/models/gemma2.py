"""Gemma 2 as a Flax NNX module.

Equations (1) to (5) of `zojax.models.llama` with these in the place of (1), (3), (4) and (5), where
norm'(x) = x (1 + g) / √(mean x² + ε) stands for every norm, d is `hidden_size`, s is
`query_pre_attn_scalar`, and cap_c(y) = c tanh(y / c):

    x = √d E[i]                                                                      (1')
    x ← x + norm'(Σ_h softmax(cap_a(q_h k_g(h)ᵀ / √s)) v_g(h) O_h)                   (3')
    n = norm'(x),  x ← x + norm'((act(n G) ∘ n U) D)                                 (4')
    features = norm'(x),    logits = cap_b(features Eᵀ)                              (5')

a is `attn_logit_softcapping` and b `final_logit_softcapping`. Of each two layers the first sees no
further than `sliding_window` tokens, unless `layer_types` says otherwise.

Reference: Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size",
arXiv:2408.00118. Names of settings, modules and tensors are those of the Hugging Face files.
"""

import dataclasses
from typing import ClassVar

from zojax.models._gated_decoder import GatedDecoder
from zojax.models._gated_layers import Extras, SandwichLayer
from zojax.models._gemma_config import GemmaConfig
from zojax.models._layer_kinds import FULL, SLIDING


@dataclasses.dataclass(frozen=True)
class Gemma2Config(GemmaConfig):
    """Settings of a Gemma 2 model: those of `GemmaConfig`."""

    model_type: ClassVar[str] = "gemma2"

    attn_logit_softcapping: float | None = 50.0
    final_logit_softcapping: float | None = 30.0

    def pattern(self, layer: int) -> str:
        """The type of a layer, counted from 0, where `layer_types` does not say it."""
        return FULL if layer % 2 else SLIDING


class Gemma2(GatedDecoder):
    """A model of the Gemma 2 family.

    Attributes:
      config: the settings, a `Gemma2Config`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import Gemma2, Gemma2Config
      >>> config = Gemma2Config(vocab_size=32, hidden_size=8, intermediate_size=16, head_dim=4,
      ...                       num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
      >>> model = Gemma2(config, rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["layers"]["post_feedforward_layernorm"]["scale"].shape
      (2, 8)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 3, 32)
    """

    config_class = Gemma2Config
    architectures: ClassVar = {
        "language_model": "Gemma2ForCausalLM",
        "classifier": "Gemma2ForSequenceClassification",
        None: "Gemma2Model",
    }
    _layer = SandwichLayer

    @staticmethod
    def _extras(config: Gemma2Config) -> Extras:
        return Extras(
            qkv_bias=config.attention_bias,
            out_bias=config.attention_bias,
            unit_offset=True,
            scale=config.query_pre_attn_scalar**-0.5,
            cap=config.attn_logit_softcapping,
            logit_cap=config.final_logit_softcapping,
            table_scale=config.hidden_size**0.5,
        )
