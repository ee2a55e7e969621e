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

import functools
import os

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _opt_layers, _save
from zojax.models._format import Format
from zojax.models._opt_config import OPTConfig

_RESERVED_POSITIONS = 2


def _tensor_name(path: tuple[str, ...]) -> str:
    """From ("layers", "fc1", "kernel") to "model.decoder.layers.{}.fc1.weight"."""
    *modules, leaf = path
    name = ".".join([*modules, "bias" if leaf == "bias" else "weight"])
    if modules[0] == "lm_head":
        return name
    return "model.decoder." + name.replace("layers.", "layers.{}.", 1)


class OPT(nnx.Module):
    """A causal language model of the OPT family.

    Attributes:
      config: the settings, an `OPTConfig`.

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

    checkpoint_format = Format(
        architecture="OPTForCausalLM",
        prefix="model.",
        tensor_name=_tensor_name,
        table="model.decoder.embed_tokens.weight",
        head="lm_head.weight",
        ignored=("decoder.version",),
    )

    def __init__(self, config: OPTConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs):
        """Draws new weights: kernels and tables from N(0, init_std²), biases zero.

        Args:
          config: the settings.
          dtype: the dtype of the weights.
          rngs: the source of randomness.

        Raises:
          ValueError: if the activation function is not one of those that OPT has here.
        """
        self.config = config
        kwargs = {"dtype": dtype, "rngs": rngs}
        layers_width, table_width = config.hidden_size, config.word_embed_proj_dim
        projected = table_width != layers_width
        normed = config.do_layer_norm_before and not config._remove_final_layer_norm
        linear = _opt_layers.linear_maker(config, use_bias=False, **kwargs)
        embed = functools.partial(
            nnx.Embed, param_dtype=dtype, embedding_init=_opt_layers.normal(config), rngs=rngs
        )
        positions = config.max_position_embeddings + _RESERVED_POSITIONS
        self.embed_tokens = embed(config.vocab_size, table_width)
        self.embed_positions = embed(positions, layers_width)
        self.project_in = linear(table_width, layers_width) if projected else None
        self.layers = _opt_layers.stack(config, **kwargs)
        self.final_layer_norm = _opt_layers.layer_norm(config, **kwargs) if normed else None
        self.project_out = linear(layers_width, table_width) if projected else None
        tied = config.tie_word_embeddings
        self.lm_head = None if tied else linear(table_width, config.vocab_size)

    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array | None = None) -> jax.Array:
        """Computes the logits of the token that follows each token.

        Args:
          input_ids: integers in [0, vocab_size), (batch, length); a larger one makes logits NaN.
          attention_mask: 1 or True for a token, 0 for padding, (batch, length), padded on either
            side; None means that every position holds a token.

        Returns:
          Logits, (batch, length, vocab_size), float32; finite at padding, where they mean nothing.

        Raises:
          ValueError: if a shape or dtype differs from the above, or length is beyond
            `max_position_embeddings`.
        """
        return self.attend(self.features(input_ids, attention_mask))

    def features(self, input_ids: jax.Array, attention_mask: jax.Array | None = None) -> jax.Array:
        """Computes what the head contracts; arguments and errors are those of a call.

        Returns:
          Features, (batch, length, word_embed_proj_dim), in the dtype of the weights.
        """
        mask = _checked_mask(self.config, input_ids, attention_mask)
        positions = mask * jnp.cumsum(mask, axis=1) + _RESERVED_POSITIONS - 1  # (1)
        x = _rows(self.embed_tokens, input_ids)
        x = x if self.project_in is None else self.project_in(x)
        x = self._run_layers(x + _rows(self.embed_positions, positions), _visible(mask))
        x = x if self.final_layer_norm is None else self.final_layer_norm(x)
        return x if self.project_out is None else self.project_out(x)

    def attend(self, features: jax.Array) -> jax.Array:
        """Contracts features with the token table, or with `lm_head` where that is not tied to it.

        Args:
          features: (..., word_embed_proj_dim).

        Returns:
          Logits, (..., vocab_size), accumulated and returned in float32.
        """
        tied = self.lm_head is None
        kernel = self.embed_tokens.embedding[...].T if tied else self.lm_head.kernel[...]
        return jnp.matmul(features, kernel, preferred_element_type=jnp.float32)

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Writes `config.json` and safetensors that `transformers` and `from_pretrained` read.

        The tensors keep the dtype of the weights. Weight files that an earlier save left in the
        directory are replaced.

        Args:
          directory: a folder, made if missing.
        """
        _save.save(self, directory)

    def _run_layers(self, x, visible):
        graphdef, stacked = nnx.split(self.layers)

        def body(x, params):
            return nnx.merge(graphdef, params)(x, visible), None

        return jax.lax.scan(body, x, stacked)[0]


def _rows(embed, index):
    # Not embed(index): that casts the table to the dtype it was built with, whole, when the caller
    # has cast the parameters since.
    return jnp.take(embed.embedding[...], index, axis=0)


def _visible(mask):
    """Query t sees the tokens (not the padding) up to and including itself."""
    length = mask.shape[1]
    causal = jnp.tril(jnp.ones((length, length), bool))
    return causal & mask.astype(bool)[:, None, None, :]


def _checked_mask(config, input_ids, attention_mask):
    """The mask as int32, after every check that shapes and dtypes allow."""
    if input_ids.ndim != 2 or not jnp.issubdtype(input_ids.dtype, jnp.integer):
        raise ValueError(
            "input_ids must be integers of shape (batch, length), "
            f"not {input_ids.dtype}{list(input_ids.shape)}."
        )
    if input_ids.shape[1] > config.max_position_embeddings:
        raise ValueError(
            f"input_ids has length {input_ids.shape[1]}, beyond max_position_embeddings = "
            f"{config.max_position_embeddings}; truncate the sequences."
        )
    if attention_mask is None:
        return jnp.ones(input_ids.shape, jnp.int32)
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has shape {attention_mask.shape}, input_ids {input_ids.shape}; "
            "they must be equal."
        )
    return attention_mask.astype(jnp.int32)
