"""BERT as a Flax NNX module.

Tokens i_1 … i_T of types s_1 … s_T with mask m (1 for a token, 0 for padding), tables E of tokens,
P of positions and S of types:

    p_t = m_1 + … + m_{t-1} where m_t = 1, else 0,    h = norm(E[i] + P[p] + S[s])   (1)
    h ← norm(h + attention(h)),    h ← norm(h + act(h W₁ + b₁) W₂ + b₂)              (2)
    features = h,    logits = norm(act(features W₃ + b₃)) Eᵀ + b₄                    (3)
    logits = tanh(f W₄ + b₅) W₅ + b₆    with f the features of the first token       (4)

(3) is the head of a masked language model, (4) a classifier. Every token sees all tokens of its
row. Norms are those with mean and bias.

Where `transformers` differs: there padding on the left moves the positions of the tokens, unless
`position_ids` say otherwise, and makes a classifier read the features of padding. The prediction of
the next sentence, which some files hold, is left out.

The layers are one `Layer` whose parameters carry a leading axis, run by `jax.lax.scan`: the traced
program has the same size at every depth. Activations have the dtype of the weights; norms, the
softmax and the logits are computed in float32. There is no dropout: the model is a deterministic
function of its parameters.

Reference: Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding", arXiv:1810.04805. Names of settings, modules and tensors are those of the
Hugging Face files.
"""

import os
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _encoder, _encoder_layers, _parts, _save
from zojax.models._attention import Memory
from zojax.models._bert_config import BERTConfig
from zojax.models._format import Format, Path
from zojax.models._heads import Head

_POOLER = ("pooler.dense.weight", "pooler.dense.bias")
_IGNORED = (
    "embeddings.position_ids",  # 0, 1, 2, …
    "cls.seq_relationship.weight",
    "cls.seq_relationship.bias",
)
_OLD = (*_encoder.OLD_NORMS, ("predictions.decoder.bias", "predictions.bias"))
_PREDICTIONS = {
    "predictions.dense": "cls.predictions.transform.dense",
    "predictions.layer_norm": "cls.predictions.transform.LayerNorm",
    "predictions": "cls.predictions",
}


def _tensor_name(path: Path) -> str:
    if path[0] == "pooler":
        return "bert." + _encoder.tensor_name(path)
    if path[0] != "predictions":
        return _encoder.tensor_name(path)
    module, leaf = _encoder.tensor_name(path).rsplit(".", 1)
    return f"{_PREDICTIONS[module]}.{leaf}"


class Pooler(nnx.Module):
    """tanh(x W + b)."""

    def __init__(self, config: BERTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = _encoder_layers.linear_maker(config, dtype=dtype, rngs=rngs)
        self.dense = linear(config.hidden_size, config.hidden_size)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (..., hidden_size) to such."""
        return jnp.tanh(self.dense(x))


class BERT(nnx.Module):
    """A model of the BERT family.

    Attributes:
      config: the settings, a `BERTConfig`.
      head: "masked_language_model", "classifier" (`pooler` and `classifier`, of the features of the
        first token) or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import BERT, BERTConfig
      >>> config = BERTConfig(vocab_size=32, hidden_size=8, num_hidden_layers=2,
      ...                     num_attention_heads=2, intermediate_size=16)
      >>> model = BERT(config, rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["bert"]["layers"]["attention"]["self"]["query"]["kernel"].shape
      (2, 8, 8)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 3, 32)
    """

    config_class = BERTConfig
    architectures: ClassVar = {
        "masked_language_model": "BertForMaskedLM",
        "classifier": "BertForSequenceClassification",
        None: "BertModel",
    }

    def __init__(
        self,
        config: BERTConfig,
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
        linear = _encoder_layers.linear_maker(config, **kwargs)
        activation = config.hidden_act
        self.bert = _encoder.Encoder(config, **kwargs)
        self.predictions = (
            _encoder_layers.MaskedHead(config, activation, **kwargs) if masked else None
        )
        self.pooler = Pooler(config, **kwargs) if classifies else None
        self.classifier = linear(config.hidden_size, len(config.labels)) if classifies else None

    @property
    def checkpoint_format(self) -> Format:
        """How Hugging Face's files name the parameters."""
        return Format(
            architecture=self.architectures[self.head],
            prefix="bert.",
            bare=self.head is None,
            tensor_name=_tensor_name,
            table="bert.embeddings.word_embeddings.weight",
            head="cls.predictions.decoder.weight",
            new=("classifier", "pooler"),
            ignored=_IGNORED if self.head == "classifier" else _IGNORED + _POOLER,
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
          token_type_ids: integers in [0, type_vocab_size), (batch, length), such as 0 for a first
            text and 1 for a second; None for 0 everywhere.

        Returns:
          With a masked language model's head, logits, (batch, length, vocab_size), float32; finite
          at padding, where they mean nothing. With a classifier, logits, (batch, labels), float32.
          Without a head, the features.

        Raises:
          ValueError: if a shape or dtype differs from the above, or length is beyond
            `max_position_embeddings`.
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
        return self.bert(input_ids, attention_mask, token_type_ids)

    def keys_and_values(self, input_ids: jax.Array) -> Memory:
        """What the layers have of tokens, (batch, length): a prefix starts as that."""
        return self.bert.keys_and_values(input_ids)

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
            return self.predictions(features, self.bert.word_embeddings)
        kernel, bias = self.classifier.kernel[...], self.classifier.bias[...]
        return _parts.contract(self.pooler(features), kernel, bias)

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Writes `config.json` and safetensors that `transformers` and `from_pretrained` read.

        The tensors keep the dtype of the weights. Weight files that an earlier save left in the
        directory are replaced. A model without a head has no pooler, for which `transformers` asks.

        Args:
          directory: a folder, made if missing.
        """
        _save.save(self, directory)
