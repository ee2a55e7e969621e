"""GPT-2 as a Flax NNX module.

Tokens i_1 … i_T with mask m (1 for a token, 0 for padding), token table E, position table P:

    p_t = m_1 + … + m_{t-1} where m_t = 1, else 0,    h = E[i] + P[p]                (1)
    h ← h + attention(norm(h)),    h ← h + act(norm(h) W₁ + b₁) W₂ + b₂              (2)
    features = norm(h),            logits = features Eᵀ                              (3)

Queries, keys and values come from one linear map, `c_attn`, so that an adapter of it is shared by
the three. With `scale_attn_by_inverse_layer_idx` the products of queries and keys in the l-th layer
are divided by l. The kernels of the layers are (in, out) in the files as well as here.

Where `transformers` differs: there padding on the left moves the positions of the tokens, unless
`position_ids` say otherwise; a classifier finds its last token by `pad_token_id` and not by the
mask.

The layers are one `Block` whose parameters carry a leading axis, run by `jax.lax.scan`: the traced
program has the same size at every depth. Activations have the dtype of the weights; norms, the
softmax and the logits are computed in float32. There is no dropout: the model is a deterministic
function of its parameters.

Reference: Radford, Wu, Child, Luan, Amodei, Sutskever, "Language Models are Unsupervised Multitask
Learners", 2019. Names of settings, modules and tensors are those of the Hugging Face files.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _gpt2_layers, _heads, _parts
from zojax.models._attention import Memory, Sight
from zojax.models._cache import Cache
from zojax.models._decoder import Decoder
from zojax.models._format import Axes, Format, Path
from zojax.models._gpt2_config import GPT2Config
from zojax.models._heads import Head

_LINEAR = ("lm_head", "score")  # the others are of the class Conv1D, whose weights are (in, out)


def _tensor_name(path: Path) -> str:
    """From ("layers", "attn", "c_attn", "kernel") to "transformer.h.{}.attn.c_attn.weight"."""
    *modules, leaf = path
    name = ".".join([*modules, "bias" if leaf == "bias" else "weight"])
    return name if modules[0] in _LINEAR else "transformer." + name.replace("layers.", "h.{}.", 1)


def _axes(path: Path, ndim: int) -> Axes:
    axes = tuple(range(ndim))
    return axes[::-1] if path[0] in _LINEAR else axes


class GPT2(Decoder):
    """A model of the GPT-2 family.

    Attributes:
      config: the settings, a `GPT2Config`.
      head: "language_model", "classifier" (`score`, a linear map of the features of the last token)
        or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import GPT2, GPT2Config
      >>> config = GPT2Config(vocab_size=32, n_embd=8, n_layer=2, n_head=2, n_positions=16)
      >>> model = GPT2(config, rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["layers"]["attn"]["c_attn"]["kernel"].shape
      (2, 8, 24)
      >>> nnx.merge(graphdef, params)(jnp.array([[5, 6, 7]])).shape
      (1, 3, 32)
    """

    config_class = GPT2Config
    architectures: ClassVar = {
        "language_model": "GPT2LMHeadModel",
        "classifier": "GPT2ForSequenceClassification",
        None: "GPT2Model",
    }
    _table = "wte"
    _attends = "attn"

    def __init__(
        self,
        config: GPT2Config,
        *,
        head: Head | None = "language_model",
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        """Draws new weights: kernels and tables from N(0, initializer_range²), biases zero.

        The kernels of `c_proj`, whose outputs are added up over the layers, have a variance smaller
        by the factor 2 n_layer.

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
        linear = _parts.linear_maker(config.initializer_range, use_bias=False, **kwargs)
        table = _parts.table_maker(config.initializer_range, **kwargs)
        self.wte = table(config.vocab_size, config.n_embd)
        self.wpe = table(config.n_positions, config.n_embd)
        self.layers = _parts.stack(
            lambda rngs: _gpt2_layers.Block(config, dtype=dtype, rngs=rngs), config.n_layer, rngs
        )
        self.ln_f = _gpt2_layers.layer_norm(config, **kwargs)
        untied = head == "language_model" and not config.tie_word_embeddings
        self.lm_head = linear(config.n_embd, config.vocab_size) if untied else None
        self.score = linear(config.n_embd, len(config.labels)) if head == "classifier" else None

    @property
    def checkpoint_format(self) -> Format:
        """How Hugging Face's files name the parameters."""
        masks = ("bias", "masked_bias")  # constants that old files hold for each layer
        layers = range(self.config.n_layer)
        return Format(
            architecture=self.architectures[self.head],
            prefix="transformer.",
            bare=self.head is None,
            tensor_name=_tensor_name,
            table="transformer.wte.weight",
            head="lm_head.weight",
            new=("score",),
            ignored=tuple(f"h.{layer}.attn.{mask}" for layer in layers for mask in masks),
            axes=_axes,
        )

    def empty_cache(self, batch: int, slots: int) -> Cache:
        """Room for the keys and values of `slots` tokens a row."""
        layers, heads = self.config.n_layer, self.config.n_head
        width = self.config.n_embd // heads
        return Cache.empty(layers, batch, slots, heads, width, self.wte.embedding.dtype)

    def _run(
        self, input_ids: jax.Array, before: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Equations (1) to (3) up to the head; `before` counts the tokens before each, -1: none."""
        positions = jnp.where(before < 0, 0, before + self._shift)
        x = _parts.rows(self.wte, input_ids) + _parts.rows(self.wpe, positions)
        divided = self.config.scale_attn_by_inverse_layer_idx
        divisors = 1.0 + jnp.arange(self.config.n_layer, dtype=jnp.float32) if divided else None
        x, memory = _parts.run(self.layers, x, memory, {"divisor": divisors}, sight=sight)
        return self.ln_f(x), memory
