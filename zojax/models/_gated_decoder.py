"""The module that Llama and its kin are: a family adds its settings and what is in `Extras`."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _attention, _gated_layers, _heads, _parts, _rotary
from zojax.models._attention import Memory, Sight
from zojax.models._cache import Cache
from zojax.models._decoder import Decoder
from zojax.models._format import Format
from zojax.models._gated_config import GatedConfig
from zojax.models._gated_layers import Extras
from zojax.models._heads import Head
from zojax.models._layer_kinds import LayerKind


def _tensor_name(path: tuple[str, ...]) -> str:
    """From ("layers", "mlp", "up_proj", "kernel") to "model.layers.{}.mlp.up_proj.weight"."""
    *modules, leaf = path
    name = ".".join([*modules, "bias" if leaf == "bias" else "weight"])
    if modules[0] in ("lm_head", "score"):
        return name
    return "model." + name.replace("layers.", "layers.{}.", 1)


class GatedDecoder(Decoder):
    """Base of the families; a family states the class attributes and `_extras`."""

    _extras: ClassVar[Callable[[GatedConfig], Extras]]
    _layer: ClassVar[type[nnx.Module]] = _gated_layers.DecoderLayer
    _table = "embed_tokens"
    _attends = "self_attn"

    def __init__(
        self,
        config: GatedConfig,
        *,
        head: Head | None = "language_model",
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        """Draws new weights: kernels and tables from N(0, initializer_range²), biases 0, scales 1.

        Args:
          config: the settings.
          head: what a call returns; see the class.
          dtype: the dtype of the weights.
          rngs: the source of randomness.

        Raises:
          ValueError: for an unknown head or activation function.
        """
        _heads.check(self.architectures, head)
        self.config, self.head = config, head
        kwargs = {"dtype": dtype, "rngs": rngs}
        width, extras = config.hidden_size, self._extras(config)
        linear = _parts.linear_maker(config.initializer_range, use_bias=False, **kwargs)
        table = _parts.table_maker(config.initializer_range, **kwargs)
        self.embed_tokens = table(config.vocab_size, width)
        self.layers = _parts.stack(
            lambda rngs: self._layer(config, extras, dtype=dtype, rngs=rngs),
            config.num_hidden_layers,
            rngs,
        )
        self.norm = _gated_layers.rms_norm(config, extras, width, **kwargs)
        untied = head == "language_model" and not config.tie_word_embeddings
        self.lm_head = linear(width, config.vocab_size) if untied else None
        self.score = linear(width, len(config.labels)) if head == "classifier" else None

    @property
    def checkpoint_format(self) -> Format:
        """How Hugging Face's files name the parameters."""
        layers = range(self.config.num_hidden_layers)
        return Format(
            architecture=self.architectures[self.head],
            prefix="model.",
            bare=self.head is None,
            tensor_name=_tensor_name,
            table="model.embed_tokens.weight",
            head="lm_head.weight",
            new=("score",),
            # Files of the first years hold the frequencies, which the settings give.
            ignored=tuple(f"layers.{i}.self_attn.rotary_emb.inv_freq" for i in layers),
        )

    def attend(self, features: jax.Array) -> jax.Array:
        """Contracts features with the head; arguments, result and errors are those of `Decoder`."""
        logits = super().attend(features)
        if self.head != "language_model":
            return logits
        return _attention.capped(logits, self._extras(self.config).logit_cap)

    def empty_cache(self, batch: int, slots: int) -> Cache:
        """Room for the keys (turned) and values of `slots` tokens a row."""
        config, dtype = self.config, self.embed_tokens.embedding.dtype
        heads, width = config.num_key_value_heads, config.head_dim
        return Cache.empty(config.num_hidden_layers, batch, slots, heads, width, dtype)

    def _run(
        self, input_ids: jax.Array, before: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """All but the head; `before` counts the tokens before each, -1: none."""
        config, scale = self.config, self._extras(self.config).table_scale
        positions = jnp.maximum(before, 0) + self._shift
        length = jnp.max(positions, axis=1) + 1
        if memory is not None:  # all that it has room for, so that remembered keys turn alike
            length = jnp.full_like(length, memory.key.shape[2] + self._shift)

        def of_kind(kind: LayerKind) -> dict[str, Any]:
            return {
                "sight": _attention.within(sight, kind.window, positions, self._shift),
                "rotation": _rotary.rotation(kind.rope, positions, config.head_dim, length),
            }

        x = _parts.rows(self.embed_tokens, input_ids)
        x = x if scale is None else x * jnp.asarray(scale, x.dtype)
        x, memory = _parts.run_kinds(self.layers, x, memory, config.layer_kinds, of_kind)
        return self.norm(x), memory
