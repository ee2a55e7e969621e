"""The embeddings and layers of ViT, equations (1) and (2) of `zojax.models.vit`."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _attention, _parts
from zojax.models._attention import Memory, Sight
from zojax.models._vit_config import ViTConfig


class PatchEmbeddings(nnx.Module):
    """A linear map of the pixels of each patch."""

    def __init__(self, config: ViTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = _parts.linear_maker(
            config.initializer_range, use_bias=True, dtype=dtype, rngs=rngs
        )
        height, width = config.patch_shape
        self.projection = linear(config.num_channels * height * width, config.hidden_size)
        self.grid_shape, self.patch_shape = config.grid_shape, config.patch_shape

    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """From (batch, channels, height, width) to (batch, patches, hidden_size), row by row."""
        (down, across), (height, width) = self.grid_shape, self.patch_shape
        batch, channels = pixel_values.shape[:2]
        whole = pixel_values[:, :, : down * height, : across * width]
        split = whole.reshape(batch, channels, down, height, across, width)
        patches = split.transpose(0, 2, 4, 1, 3, 5).reshape(batch, down * across, -1)
        return self.projection(patches)


class Embeddings(nnx.Module):
    """The class token, the patches and their positions.

    Attributes:
      cls_token: (hidden_size,).
      position_embeddings: (1 + patches, hidden_size), the class token's first.
    """

    def __init__(self, config: ViTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        normal = nnx.initializers.normal(config.initializer_range)
        down, across = config.grid_shape
        width = config.hidden_size
        self.cls_token = nnx.Param(normal(rngs.params(), (width,), dtype))
        self.position_embeddings = nnx.Param(
            normal(rngs.params(), (1 + down * across, width), dtype)
        )
        self.patch_embeddings = PatchEmbeddings(config, dtype=dtype, rngs=rngs)

    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """From (batch, channels, height, width) to (batch, 1 + patches, hidden_size)."""
        table = self.position_embeddings[...]
        patches = self.patch_embeddings(pixel_values.astype(table.dtype))
        first = jnp.broadcast_to(self.cls_token[...], (patches.shape[0], 1, patches.shape[2]))
        return jnp.concatenate([first, patches], axis=1) + table


class SelfAttention(nnx.Module):
    """Multi-head attention up to the mixed values.

    Attributes:
      prefix: trained keys and values before those of the sequence, or None.
    """

    def __init__(self, config: ViTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = _parts.linear_maker(
            config.initializer_range, use_bias=config.qkv_bias, dtype=dtype, rngs=rngs
        )
        self.query = linear(config.hidden_size, config.hidden_size)
        self.key = linear(config.hidden_size, config.hidden_size)
        self.value = linear(config.hidden_size, config.hidden_size)
        self.num_heads = config.num_attention_heads
        self.prefix = nnx.data(None)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; fills a memory."""
        query, key, value = (
            _attention.heads(f(x), self.num_heads) for f in (self.query, self.key, self.value)
        )
        return _attention.attend(query, key, value, sight, prefix=self.prefix, memory=memory)


class Dense(nnx.Module):
    """A linear map that the files call `dense` inside a module of its own."""

    def __init__(
        self, config: ViTConfig, inputs: int, outputs: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        linear = _parts.linear_maker(
            config.initializer_range, use_bias=True, dtype=dtype, rngs=rngs
        )
        self.dense = linear(inputs, outputs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (..., inputs) to (..., outputs)."""
        return self.dense(x)


class Attention(nnx.Module):
    """Multi-head attention with its output map."""

    def __init__(self, config: ViTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        width = config.hidden_size
        self.attention = SelfAttention(config, dtype=dtype, rngs=rngs)
        self.output = Dense(config, width, width, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; fills a memory."""
        mixed, memory = self.attention(x, memory, sight)
        return self.output(mixed), memory


class Layer(nnx.Module):
    """One layer, equation (2) of the module."""

    def __init__(self, config: ViTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        width, inner = config.hidden_size, config.intermediate_size
        self.attention = Attention(config, dtype=dtype, rngs=rngs)
        self.intermediate = Dense(config, width, inner, dtype=dtype, rngs=rngs)
        self.output = Dense(config, inner, width, dtype=dtype, rngs=rngs)
        self.layernorm_before = layer_norm(config, dtype=dtype, rngs=rngs)
        self.layernorm_after = layer_norm(config, dtype=dtype, rngs=rngs)
        self.activation = _parts.activation(config.hidden_act, "hidden_act")

    def __call__(
        self, x: jax.Array, memory: Memory | None, sight: Sight
    ) -> tuple[jax.Array, Memory | None]:
        """Maps activations, (batch, length, hidden_size), to such; fills a memory."""
        attended, memory = self.attention(self.layernorm_before(x), memory, sight)
        x = x + attended
        inner = self.activation(self.intermediate(self.layernorm_after(x)))
        return x + self.output(inner), memory


def layer_norm(config: ViTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """A norm of ViT."""
    return _parts.layer_norm(config.hidden_size, config.layer_norm_eps, dtype=dtype, rngs=rngs)
