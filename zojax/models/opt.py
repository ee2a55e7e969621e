"""OPT as a Flax NNX module.

Tokens i_1 … i_T with mask m (1 for a token, 0 for padding), token table E, position table P,
and optional maps A, B between the width of E and that of the layers:

    p_t = m_t (m_1 + … + m_t) + 1,    h = E[i] A + P[p]                              (1)
    h ← h + attention(norm(h)),       h ← h + act(norm(h) W₁ + b₁) W₂ + b₂           (2)
    h ← norm(h + attention(h)),       h ← norm(h + act(h W₁ + b₁) W₂ + b₂)           (2')
    features = norm(h) B,             logits = features Eᵀ                           (3)

(2) is a pre-norm layer, (2') a post-norm one (OPT-350m); a post-norm model has no norm in (3).
A and B exist where `word_embed_proj_dim` differs from `hidden_size` (OPT-350m again). Row 0 of P is
never read and row 1 belongs to padding: the file format reserves both.

The layers are one `DecoderLayer` whose parameters carry a leading axis, run by `jax.lax.scan`: the
traced program has the same size at every depth. Activations have the dtype of the weights; norms,
the softmax and the logits are computed in float32. There is no dropout: the model is a
deterministic function of its parameters.

Reference: Zhang et al., "OPT: Open Pre-trained Transformer Language Models", arXiv:2205.01068.
Names of settings, modules and tensors are those of the Hugging Face files.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _heads, _opt_layers, _parts
from zojax.models._attention import Memory, Sight
from zojax.models._cache import Cache
from zojax.models._decoder import Decoder
from zojax.models._format import Format
from zojax.models._heads import Head
from zojax.models._opt_config import OPTConfig

_RESERVED_POSITIONS = 2


def _tensor_name(path: tuple[str, ...]) -> str:
    """From ("layers", "fc1", "kernel") to "model.decoder.layers.{}.fc1.weight"."""
    *modules, leaf = path
    name = ".".join([*modules, "bias" if leaf == "bias" else "weight"])
    if modules[0] in ("lm_head", "score"):
        return name
    return "model.decoder." + name.replace("layers.", "layers.{}.", 1)


class OPT(Decoder):
    """A model of the OPT family.

    Attributes:
      config: the settings, an `OPTConfig`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import OPT, OPTConfig
      >>> config = OPTConfig(vocab_size=32, hidden_size=8, num_hidden_layers=2,
      ...                    num_attention_heads=2, ffn_dim=16, max_position_embeddings=16)
      >>> model = OPT(config, rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["layers"]["fc1"]["kernel"].shape
      (2, 8, 16)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 3, 32)
    """

    config_class = OPTConfig
    architectures: ClassVar = {
        "language_model": "OPTForCausalLM",
        "classifier": "OPTForSequenceClassification",
        None: "OPTModel",
    }
    _table = "embed_tokens"
    _attends = "self_attn"

    def __init__(
        self,
        config: OPTConfig,
        *,
        head: Head | None = "language_model",
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        """Draws new weights: kernels and tables from N(0, init_std²), biases zero.

        Args:
          config: the settings.
          head: what a call returns; see above.
          dtype: the dtype of the weights.
          rngs: the source of randomness.

        Raises:
          ValueError: for an unknown head or activation function.
        """
        _heads.check(self.architectures, head)
        self.config, self.head = config, head
        kwargs = {"dtype": dtype, "rngs": rngs}
        width, table_width = config.hidden_size, config.word_embed_proj_dim
        projected = table_width != width
        normed = config.do_layer_norm_before and not config._remove_final_layer_norm
        linear = _parts.linear_maker(config.init_std, use_bias=False, **kwargs)
        table = _parts.table_maker(config.init_std, **kwargs)
        self.embed_tokens = table(config.vocab_size, table_width)
        self.embed_positions = table(config.max_position_embeddings + _RESERVED_POSITIONS, width)
        self.project_in = linear(table_width, width) if projected else None
        self.layers = _parts.stack(
            lambda rngs: _opt_layers.DecoderLayer(config, dtype=dtype, rngs=rngs),
            config.num_hidden_layers,
            rngs,
        )
        self.final_layer_norm = _opt_layers.layer_norm(config, **kwargs) if normed else None
        self.project_out = linear(width, table_width) if projected else None
        untied = head == "language_model" and not config.tie_word_embeddings
        self.lm_head = linear(table_width, config.vocab_size) if untied else None
        self.score = linear(table_width, len(config.labels)) if head == "classifier" else None

    @property
    def checkpoint_format(self) -> Format:
        """How Hugging Face's files name the parameters."""
        return Format(
            architecture=self.architectures[self.head],
            prefix="model.",
            bare=self.head is None,
            tensor_name=_tensor_name,
            table="model.decoder.embed_tokens.weight",
            head="lm_head.weight",
            new=("score",),
            ignored=("decoder.version",),
        )

    def empty_cache(self, batch: int, slots: int) -> Cache:
        """Room for the keys and values of `slots` tokens a row."""
        heads = self.config.num_attention_heads
        width = self.config.hidden_size // heads
        dtype = self.embed_tokens.embedding.dtype
        return Cache.empty(self.config.num_hidden_layers, batch, slots, heads, width, dtype)

    def _run(
        self, input_ids: jax.Array, before: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Equations (1) to (3) up to the head; `before` counts the tokens before each, -1: none."""
        positions = jnp.where(before < 0, 1, before + _RESERVED_POSITIONS + self._shift)
        x = _parts.rows(self.embed_tokens, input_ids)
        x = x if self.project_in is None else self.project_in(x)
        x = x + _parts.rows(self.embed_positions, positions)
        x, memory = _parts.run(self.layers, x, memory, sight=sight)
        x = x if self.final_layer_norm is None else self.final_layer_norm(x)
        return (x if self.project_out is None else self.project_out(x)), memory
