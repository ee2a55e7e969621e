"""Llama as a Flax NNX module: Llama 2, Llama 3 and models of their architecture.

Tokens i_1 … i_T with mask m (1 for a token, 0 for padding), token table E, R(p) the turn of
position p (see `zojax.models._rotary`), heads h that share keys and values in groups g(h):

    p_t = m_t (m_1 + … + m_t) - 1, at least 0,    x = E[i]                           (1)
    n = norm(x),  q_h = R(p) n Q_h,  k_g = R(p) n K_g,  v_g = n V_g                  (2)
    x ← x + Σ_h softmax(q_h k_g(h)ᵀ / √head_dim) v_g(h) O_h                          (3)
    n = norm(x),  x ← x + (act(n G) ∘ n U) D                                         (4)
    features = norm(x),    logits = features W                                       (5)

norm(x) = x g / √(mean x² + ε), with a trained scale g and no bias. The softmax is over the tokens
up to and including its own; `attention_bias` adds biases to Q, K, V and O, `mlp_bias` to G, U and
D. W is Eᵀ where `tie_word_embeddings` is set. Positions count tokens, so padding on either side
changes nothing; Hugging Face's module gives the same where it gets these as `position_ids`, or
where padding is on the right. Its classifier reads the last id that is not `pad_token_id`, ours the
last position that the mask calls a token.

The layers are one `DecoderLayer` whose parameters carry a leading axis, run by `jax.lax.scan`: the
traced program has the same size at every depth. Activations have the dtype of the weights; norms,
turns, the softmax and the logits are computed in float32. There is no dropout: the model is a
deterministic function of its parameters.

Reference: Touvron et al., "Llama 2: Open Foundation and Fine-Tuned Chat Models", arXiv:2307.09288;
Grattafiori et al., "The Llama 3 Herd of Models", arXiv:2407.21783. Names of settings, modules and
tensors are those of the Hugging Face files.
"""

import dataclasses
from typing import ClassVar

from zojax.models._gated_config import GatedConfig
from zojax.models._gated_decoder import GatedDecoder
from zojax.models._gated_layers import Extras


@dataclasses.dataclass(frozen=True)
class LlamaConfig(GatedConfig):
    """Settings of a Llama model: those of `GatedConfig`, and where there are biases.

    Attributes:
      attention_bias: whether the linear maps of attention have biases.
      mlp_bias: whether those of the feed-forward blocks have.
    """

    model_type: ClassVar[str] = "llama"

    bos_token_id: int | None = 1
    eos_token_id: int | tuple[int, ...] | None = 2
    attention_bias: bool = False
    mlp_bias: bool = False


class Llama(GatedDecoder):
    """A model of the Llama family.

    Attributes:
      config: the settings, a `LlamaConfig`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import Llama, LlamaConfig
      >>> config = LlamaConfig(vocab_size=32, hidden_size=8, intermediate_size=16,
      ...                      num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
      >>> model = Llama(config, rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["layers"]["self_attn"]["k_proj"]["kernel"].shape
      (2, 8, 4)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 3, 32)
    """

    config_class = LlamaConfig
    architectures: ClassVar = {
        "language_model": "LlamaForCausalLM",
        "classifier": "LlamaForSequenceClassification",
        None: "LlamaModel",
    }

    @staticmethod
    def _extras(config: LlamaConfig) -> Extras:
        return Extras(
            qkv_bias=config.attention_bias,
            out_bias=config.attention_bias,
            mlp_bias=config.mlp_bias,
        )
