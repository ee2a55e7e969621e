"""RoBERTa as a Flax NNX module: the layers of BERT with other positions and other heads.

Tokens i_1 … i_T of types s_1 … s_T with mask m (1 for a token, 0 for padding), tables E of tokens,
P of positions and S of types, and c = `pad_token_id`:

    p_t = m_t (m_1 + … + m_t) + c,    h = norm(E[i] + P[p] + S[s])                   (1)
    h ← norm(h + attention(h)),       h ← norm(h + act(h W₁ + b₁) W₂ + b₂)           (2)
    features = h,    logits = norm(gelu(features W₃ + b₃)) Eᵀ + b₄                   (3)
    logits = tanh(f W₄ + b₅) W₅ + b₆    with f the features of the first token       (4)

(3) is the head of a masked language model, (4) a classifier. Every token sees all tokens of its
row. Rows 0 … c-1 of P are never read and row c belongs to padding, so that the published models,
with c = 1 and 514 rows, take 512 tokens.

Where `transformers` differs: there padding, as far as positions go, is where the token is c, and
not where the mask is 0; padding on the left makes a classifier read the features of padding.

The layers are one `Layer` whose parameters carry a leading axis, run by `jax.lax.scan`: the traced
program has the same size at every depth. Activations have the dtype of the weights; norms, the
softmax and the logits are computed in float32. There is no dropout: the model is a deterministic
function of its parameters.

Reference: Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", arXiv:1907.11692.
Names of settings, modules and tensors are those of the Hugging Face files.
"""

import os
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _encoder, _encoder_layers, _parts, _save
from zojax.models._attention import Memory
from zojax.models._format import Format
from zojax.models._heads import Head
from zojax.models._roberta_config import RoBERTaConfig

_IGNORED = (
    "embeddings.position_ids",  # 0, 1, 2, …
    "pooler.dense.weight",  # files hold one, and no head reads it
    "pooler.dense.bias",
)
_OLD = (*_encoder.OLD_NORMS, ("lm_head.decoder.bias", "lm_head.bias"))


class ClassifierHead(nnx.Module):
    """Equation (4) of the module."""

    def __init__(self, config: RoBERTaConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = _encoder_layers.linear_maker(config, dtype=dtype, rngs=rngs)
        self.dense = linear(config.hidden_size, config.hidden_size)
        self.out_proj = linear(config.hidden_size, len(config.labels))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (..., hidden_size) to logits, (..., labels), float32."""
        x = jnp.tanh(self.dense(x))
        return _parts.contract(x, self.out_proj.kernel[...], self.out_proj.bias[...])


class RoBERTa(nnx.Module):
    """A model of the RoBERTa family.

    Attributes:
      config: the settings, a `RoBERTaConfig`.
      head: "masked_language_model", "classifier" (of the features of the first token) or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import RoBERTa, RoBERTaConfig
      >>> config = RoBERTaConfig(vocab_size=32, hidden_size=8, num_hidden_layers=2,
      ...                        num_attention_heads=2, intermediate_size=16)
      >>> model = RoBERTa(config, head="classifier", rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["classifier"]["out_proj"]["kernel"].shape
      (8, 2)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 2)
    """

    config_class = RoBERTaConfig
    architectures: ClassVar = {
        "masked_language_model": "RobertaForMaskedLM",
        "classifier": "RobertaForSequenceClassification",
        None: "RobertaModel",
    }

    def __init__(
        self,
        config: RoBERTaConfig,
        *,
        head: Head | None = "masked_language_model",
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        """Draws new weights: kernels and tables from N(0, initializer_range²), biases zero.

        Args:
          config: the settings.
          head: what a call returns; see above.
          dtype: the dtype of the weights.
          rngs: the source of randomness.

        Raises:
          ValueError: for an unknown head or activation function, or the head of a masked language
            model that is not tied to the token table.
        """
        _encoder_layers.check_head(config, self.architectures, head)
        self.config, self.head = config, head
        kwargs = {"dtype": dtype, "rngs": rngs}
        classifies, masked = head == "classifier", head == "masked_language_model"
        self.roberta = _encoder.Encoder(config, **kwargs)
        self.lm_head = _encoder_layers.MaskedHead(config, "gelu", **kwargs) if masked else None
        self.classifier = ClassifierHead(config, **kwargs) if classifies else None

    @property
    def checkpoint_format(self) -> Format:
        """How Hugging Face's files name the parameters."""
        return Format(
            architecture=self.architectures[self.head],
            prefix="roberta.",
            bare=self.head is None,
            tensor_name=_encoder.tensor_name,
            table="roberta.embeddings.word_embeddings.weight",
            head="lm_head.decoder.weight",
            new=("classifier",),
            ignored=_IGNORED,
            old=_OLD,
        )

    def __call__(
        self,
        input_ids: jax.Array,
        attention_mask: jax.Array | None = None,
        token_type_ids: jax.Array | None = None,
    ) -> jax.Array:
        """Computes the logits of the token at each position, or what else the head gives.

        Args:
          input_ids: integers in [0, vocab_size), (batch, length); a larger one makes logits NaN.
          attention_mask: 1 or True for a token, 0 for padding, (batch, length), padded on either
            side; None means that every position holds a token.
          token_type_ids: integers in [0, type_vocab_size), (batch, length); None for 0 everywhere,
            all that the published models know.

        Returns:
          With a masked language model's head, logits, (batch, length, vocab_size), float32; finite
          at padding, where they mean nothing. With a classifier, logits, (batch, labels), float32.
          Without a head, the features.

        Raises:
          ValueError: if a shape or dtype differs from the above, or length is beyond
            `max_position_embeddings` - `pad_token_id` - 1.
        """
        features = self.features(input_ids, attention_mask, token_type_ids)
        if self.head == "classifier":
            features = _encoder.at_first(features, attention_mask)
        return features if self.head is None else self.attend(features)

    def features(
        self,
        input_ids: jax.Array,
        attention_mask: jax.Array | None = None,
        token_type_ids: jax.Array | None = None,
    ) -> jax.Array:
        """Computes what the head takes; arguments and errors are those of a call.

        Returns:
          Features, (batch, length, hidden_size), in the dtype of the weights.
        """
        return self.roberta(input_ids, attention_mask, token_type_ids)

    def keys_and_values(self, input_ids: jax.Array) -> Memory:
        """What the layers have of tokens, (batch, length): a prefix starts as that."""
        return self.roberta.keys_and_values(input_ids)

    def attend(self, features: jax.Array) -> jax.Array:
        """Maps features through the whole head, (3) or (4); those at masked positions suffice.

        Args:
          features: (..., hidden_size).

        Returns:
          Logits, (..., vocab_size) or (..., labels), accumulated and returned in float32.

        Raises:
          ValueError: if the model has no head.
        """
        if self.head is None:
            raise ValueError("the model has no head; load it with one to get logits")
        if self.head == "masked_language_model":
            return self.lm_head(features, self.roberta.word_embeddings)
        return self.classifier(features)

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Writes `config.json` and safetensors that `transformers` and `from_pretrained` read.

        The tensors keep the dtype of the weights. Weight files that an earlier save left in the
        directory are replaced. A model without a head has no pooler, for which `transformers` asks.

        Args:
          directory: a folder, made if missing.
        """
        _save.save(self, directory)
