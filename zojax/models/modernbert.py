"""ModernBERT as a Flax NNX module: an encoder with rotary positions, gates and windows.

Tokens i_1 … i_T with mask m (1 for a token, 0 for padding), token table E, heads h, R(p) the turn
of position p (see `zojax.models._rotary`):

    p_t = m_1 + … + m_{t-1} where m_t = 1, else 0,    x = norm(E[i]),    n = x       (1)
    x ← x + Σ_h softmax(R(p) n Q_h (R(p) n K_h)ᵀ / √head_dim) n V_h O_h              (2)
    n = norm(x),  x ← x + (act(n G) ∘ n U) D,  n = norm(x)                           (3)
    features = n,    g = norm(act(features W))                                       (4)
    logits = g Eᵀ + c,    or    logits = g W' + c'    of the first token             (5)

The last n of a layer is what the next one starts from, and the features are that of the last. In
two of three layers a token sees those up to `local_attention` / 2 before and after it, and turns by
`local_rope_theta`; in the others it sees all tokens of its row. The norms are those with a mean, by
default without a bias. (5) is the head of a masked language model and a classifier, which may read
the mean of the features over all tokens instead.

The layers are one `Layer` whose parameters carry a leading axis, run by `jax.lax.scan`: the traced
program has the same size at every depth. Activations have the dtype of the weights; norms, turns,
the softmax and the logits are computed in float32. There is no dropout: the model is a
deterministic function of its parameters.

Reference: Warner et al., "Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder",
arXiv:2412.13663. Names of settings and tensors are those of the Hugging Face files; the linear maps
of the layers are called as in the decoders, qkv_proj, o_proj, gate_up_proj and down_proj.
"""

import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import (
    _attention,
    _encoder_layers,
    _modernbert_layers,
    _parts,
    _rotary,
    _tokens,
)
from zojax.models._attention import Memory, Sight
from zojax.models._cache import Cache
from zojax.models._encoder_model import EncoderModel
from zojax.models._format import Format, Path
from zojax.models._heads import Head
from zojax.models._layer_kinds import LayerKind
from zojax.models._modernbert_config import ModernBERTConfig

# From the names of the modules to those of the files.
_NAMES = (
    ("layers.", "layers.{}."),
    ("attn.qkv_proj", "attn.Wqkv"),
    ("attn.o_proj", "attn.Wo"),
    ("mlp.gate_up_proj", "mlp.Wi"),
    ("mlp.down_proj", "mlp.Wo"),
    ("prediction.bias", "decoder.bias"),
    ("prediction.", "head."),
)


def _tensor_name(path: Path) -> str:
    *modules, leaf = path
    name = ".".join([*modules, "bias" if leaf == "bias" else "weight"])
    for of_module, of_file in _NAMES:
        name = name.replace(of_module, of_file)
    return name if modules[0] in ("prediction", "classifier") else f"model.{name}"


def _layer_name(depth: int, name: str, layer: int) -> str:
    """A norm that comes next is the first of the next layer, or the last of the model."""
    if "next_norm" not in name:
        return name.format(layer)
    if layer + 1 == depth:
        return name.replace("layers.{}.next_norm", "final_norm")
    return name.replace("next_norm", "attn_norm").format(layer + 1)


class ModernBERT(EncoderModel):
    """A model of the ModernBERT family.

    Attributes:
      config: the settings, a `ModernBERTConfig`.
      head: "masked_language_model", "classifier" or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import ModernBERT, ModernBERTConfig
      >>> config = ModernBERTConfig(vocab_size=32, hidden_size=8, num_hidden_layers=3,
      ...                           num_attention_heads=2, intermediate_size=16)
      >>> model = ModernBERT(config, rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["layers"]["attn"]["qkv_proj"]["kernel"].shape
      (3, 8, 24)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 3, 32)
    """

    config_class = ModernBERTConfig
    architectures: ClassVar = {
        "masked_language_model": "ModernBertForMaskedLM",
        "classifier": "ModernBertForSequenceClassification",
        None: "ModernBertModel",
    }

    def __init__(
        self,
        config: ModernBERTConfig,
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
        kwargs, classes = {"dtype": dtype, "rngs": rngs}, len(config.labels)
        linear = _parts.linear_maker(config.initializer_range, use_bias=True, **kwargs)
        use_bias = head == "masked_language_model" and config.decoder_bias
        self.embeddings = _modernbert_layers.Embeddings(config, **kwargs)
        self.layers = _parts.stack(
            lambda rngs: _modernbert_layers.Layer(config, dtype=dtype, rngs=rngs),
            config.num_hidden_layers,
            rngs,
        )
        self.prediction = (
            None
            if head is None
            else _modernbert_layers.PredictionHead(config, use_bias=use_bias, **kwargs)
        )
        self.classifier = linear(config.hidden_size, classes) if head == "classifier" else None

    @property
    def checkpoint_format(self) -> Format:
        """How Hugging Face's files name the parameters."""
        return Format(
            architecture=self.architectures[self.head],
            prefix="model.",
            bare=self.head is None,
            tensor_name=_tensor_name,
            table="model.embeddings.tok_embeddings.weight",
            head="decoder.weight",
            new=("classifier", "head"),
            layer_name=functools.partial(_layer_name, self.config.num_hidden_layers),
        )

    def features(self, input_ids: jax.Array, attention_mask: jax.Array | None = None) -> jax.Array:
        """Computes what the head takes; arguments and errors are those of a call.

        Returns:
          Features, (batch, length, hidden_size), in the dtype of the weights.
        """
        mask = _tokens.checked_mask(input_ids, attention_mask, self.config.longest)
        return self._run(input_ids, mask, None, _attention.everything(mask))[0]

    def keys_and_values(self, input_ids: jax.Array) -> Memory:
        """What the layers have of tokens, (batch, length): a prefix starts as that."""
        config, dtype = self.config, self.embeddings.tok_embeddings.embedding.dtype
        heads, depth = config.num_attention_heads, config.num_hidden_layers
        empty = Cache.empty(depth, *input_ids.shape, heads, config.head_dim, dtype).memory
        mask = jnp.ones(input_ids.shape, jnp.int32)
        sight = _attention.everything(mask)._replace(slot=jnp.int32(0))
        return self._run(input_ids, mask, empty, sight)[1]

    def attend(self, features: jax.Array) -> jax.Array:
        """Maps features through the whole head, (4) and (5); those at masked positions suffice.

        Args:
          features: (..., hidden_size).

        Returns:
          Logits, (..., vocab_size) or (..., labels), accumulated and returned in float32.

        Raises:
          ValueError: if the model has no head.
        """
        if self.head is None:
            raise ValueError("the model has no head; load it with one to get logits")
        x = self.prediction(features)
        if self.head == "classifier":
            return _parts.contract(x, self.classifier.kernel[...], self.classifier.bias[...])
        bias = None if self.prediction.bias is None else self.prediction.bias[...]
        return _parts.contract(x, self.embeddings.tok_embeddings.embedding[...].T, bias)

    def _run(
        self, input_ids: jax.Array, mask: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        config = self.config
        positions = jnp.maximum(_tokens.positions(mask), 0)
        length = jnp.sum(mask, axis=1)

        def of_kind(kind: LayerKind) -> dict[str, Any]:
            return {
                "sight": _attention.around(sight, kind.window),
                "rotation": _rotary.rotation(kind.rope, positions, config.head_dim, length),
            }

        x = self.embeddings(input_ids)
        (_, normed), memory = _parts.run_kinds(
            self.layers, (x, x), memory, config.layer_kinds, of_kind
        )
        return normed, memory

    def _pooled(self, features: jax.Array, attention_mask: jax.Array | None) -> jax.Array:
        if self.config.classifier_pooling == "cls":
            return super()._pooled(features, attention_mask)
        if attention_mask is None:
            return jnp.mean(features, axis=1)
        return _tokens.mean(features, attention_mask)
