"""DistilBERT as a Flax NNX module: the layers of BERT without types of tokens, under other names.

Tokens i_1 … i_T with mask m (1 for a token, 0 for padding), tables E of tokens and P of positions:

    p_t = m_1 + … + m_{t-1} where m_t = 1, else 0,    h = norm(E[i] + P[p])          (1)
    h ← norm(h + attention(h)),    h ← norm(h + act(h W₁ + b₁) W₂ + b₂)              (2)
    features = h,    logits = norm(act(features W₃ + b₃)) Eᵀ + b₄                    (3)
    logits = relu(f W₄ + b₅) W₅ + b₆    with f the features of the first token       (4)

(3) is the head of a masked language model, (4) a classifier. Layers, dtypes and where
`transformers` differs are those of `zojax.models.bert`.

Reference: Sanh, Debut, Chaumond, Wolf, "DistilBERT, a distilled version of BERT: smaller, faster,
cheaper and lighter", arXiv:1910.01108. Names of settings and tensors are those of the Hugging Face
files; modules of the body are called as in `zojax.models.bert`.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _encoder, _encoder_layers, _parts
from zojax.models._attention import Memory
from zojax.models._distilbert_config import DistilBERTConfig
from zojax.models._encoder_model import EncoderModel
from zojax.models._format import Format, Path
from zojax.models._heads import Head

# From BERT's names to those of the files, each replaced in turn.
_NAMES = (
    (".encoder.layer.", ".transformer.layer."),
    ("attention.self.query", "attention.q_lin"),
    ("attention.self.key", "attention.k_lin"),
    ("attention.self.value", "attention.v_lin"),
    ("attention.output.dense", "attention.out_lin"),
    ("attention.output.LayerNorm", "sa_layer_norm"),
    ("intermediate.dense", "ffn.lin1"),
    ("{}.output.dense", "{}.ffn.lin2"),
    ("{}.output.LayerNorm", "{}.output_layer_norm"),
    ("predictions.dense", "vocab_transform"),
    ("predictions.layer_norm", "vocab_layer_norm"),
    ("predictions.bias", "vocab_projector.bias"),
)


def _tensor_name(path: Path) -> str:
    name = _encoder.tensor_name(path)
    for of_bert, of_file in _NAMES:
        name = name.replace(of_bert, of_file)
    return name


class DistilBERT(EncoderModel):
    """A model of the DistilBERT family.

    Attributes:
      config: the settings, a `DistilBERTConfig`.
      head: "masked_language_model", "classifier" (`pre_classifier` and `classifier`, of the
        features of the first token) or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import DistilBERT, DistilBERTConfig
      >>> config = DistilBERTConfig(vocab_size=32, hidden_size=8, num_hidden_layers=2,
      ...                           num_attention_heads=2, intermediate_size=16)
      >>> model = DistilBERT(config, head="classifier", rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["distilbert"]["layers"]["attention"]["self"]["query"]["kernel"].shape
      (2, 8, 8)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 2)
    """

    config_class = DistilBERTConfig
    architectures: ClassVar = {
        "masked_language_model": "DistilBertForMaskedLM",
        "classifier": "DistilBertForSequenceClassification",
        None: "DistilBertModel",
    }

    def __init__(
        self,
        config: DistilBERTConfig,
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
        kwargs, width = {"dtype": dtype, "rngs": rngs}, config.hidden_size
        classifies, masked = head == "classifier", head == "masked_language_model"
        linear = _encoder_layers.linear_maker(config, **kwargs)
        self.distilbert = _encoder.Encoder(config, **kwargs)
        self.predictions = (
            _encoder_layers.MaskedHead(config, config.hidden_act, **kwargs) if masked else None
        )
        self.pre_classifier = linear(width, width) if classifies else None
        self.classifier = linear(width, len(config.labels)) if classifies else None

    @property
    def checkpoint_format(self) -> Format:
        """How Hugging Face's files name the parameters."""
        return Format(
            architecture=self.architectures[self.head],
            prefix="distilbert.",
            bare=self.head is None,
            tensor_name=_tensor_name,
            table="distilbert.embeddings.word_embeddings.weight",
            head="vocab_projector.weight",
            new=("classifier", "pre_classifier"),
            ignored=("embeddings.position_ids",),  # 0, 1, 2, …
            old=_encoder.OLD_NORMS,
        )

    def features(self, input_ids: jax.Array, attention_mask: jax.Array | None = None) -> jax.Array:
        """Computes what the head takes; arguments and errors are those of a call.

        Returns:
          Features, (batch, length, hidden_size), in the dtype of the weights.
        """
        return self.distilbert(input_ids, attention_mask, None)

    def keys_and_values(self, input_ids: jax.Array) -> Memory:
        """What the layers have of tokens, (batch, length): a prefix starts as that."""
        return self.distilbert.keys_and_values(input_ids)

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
            return self.predictions(features, self.distilbert.word_embeddings)
        kernel, bias = self.classifier.kernel[...], self.classifier.bias[...]
        return _parts.contract(jax.nn.relu(self.pre_classifier(features)), kernel, bias)
