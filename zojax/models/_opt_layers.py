"""The layers of OPT, equations (2) and (2') of `zojax.models.opt`, and how their parts start."""

import functools
from collections.abc import Callable

import jax
from flax import nnx
from jax.typing import DTypeLike

from zojax.models._opt_config import OPTConfig

_ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_new": jax.nn.gelu,
    "gelu_pytorch_tanh": jax.nn.gelu,
    "silu": jax.nn.silu,
}


class Attention(nnx.Module):
    """Multi-head attention of a sequence to the part of itself that a mask makes visible."""

    def __init__(self, config: OPTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = linear_maker(config, use_bias=config.enable_bias, dtype=dtype, rngs=rngs)
        self.q_proj = linear(config.hidden_size, config.hidden_size)
        self.k_proj = linear(config.hidden_size, config.hidden_size)
        self.v_proj = linear(config.hidden_size, config.hidden_size)
        self.out_proj = linear(config.hidden_size, config.hidden_size)
        self.num_heads = config.num_attention_heads

    def __call__(self, x: jax.Array, visible: jax.Array) -> jax.Array:
        """Attends.

        Args:
          x: activations, (batch, length, hidden_size).
          visible: bool, (batch, 1, query length, key length). A query that sees nothing gets the
            mean of all values, which is finite.

        Returns:
          Activations, (batch, length, hidden_size).
        """
        heads = (*x.shape[:-1], self.num_heads, -1)
        query, key, value = (f(x).reshape(heads) for f in (self.q_proj, self.k_proj, self.v_proj))
        mixed = jax.nn.dot_product_attention(query, key, value, mask=visible)
        return self.out_proj(mixed.reshape(x.shape))


class DecoderLayer(nnx.Module):
    """One layer, equation (2) or (2') of the module."""

    def __init__(self, config: OPTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        linear = linear_maker(config, use_bias=config.enable_bias, dtype=dtype, rngs=rngs)
        self.self_attn = Attention(config, dtype=dtype, rngs=rngs)
        self.self_attn_layer_norm = layer_norm(config, dtype=dtype, rngs=rngs)
        self.fc1 = linear(config.hidden_size, config.ffn_dim)
        self.fc2 = linear(config.ffn_dim, config.hidden_size)
        self.final_layer_norm = layer_norm(config, dtype=dtype, rngs=rngs)
        self.activation = _activation(config.activation_function)
        self.norm_first = config.do_layer_norm_before

    def __call__(self, x: jax.Array, visible: jax.Array) -> jax.Array:
        """Maps activations to activations, (batch, length, hidden_size); `visible` as above."""
        attend = functools.partial(self.self_attn, visible=visible)
        x = self._residual(x, self.self_attn_layer_norm, attend)
        return self._residual(x, self.final_layer_norm, self._feed_forward)

    def _feed_forward(self, x):
        return self.fc2(self.activation(self.fc1(x)))

    def _residual(self, x, norm, branch):
        return x + branch(norm(x)) if self.norm_first else norm(x + branch(x))


def stack(config: OPTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> DecoderLayer:
    """All layers as one `DecoderLayer`, each parameter with a leading axis for the layer."""

    @nnx.split_rngs(splits=config.num_hidden_layers)
    @nnx.vmap(in_axes=0, out_axes=0)
    def make(rngs):
        return DecoderLayer(config, dtype=dtype, rngs=rngs)

    return make(rngs)


def layer_norm(config: OPTConfig, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """A norm over the features; statistics and scaling in float32, result in the input's dtype."""
    affine = config.layer_norm_elementwise_affine
    return nnx.LayerNorm(
        config.hidden_size,
        epsilon=1e-5,
        use_bias=affine,
        use_scale=affine,
        use_fast_variance=False,  # E[x²] - E[x]² cancels where activations sit far from zero
        param_dtype=dtype,
        rngs=rngs,
    )


def linear_maker(
    config: OPTConfig, *, use_bias: bool, dtype: DTypeLike, rngs: nnx.Rngs
) -> Callable[[int, int], nnx.Linear]:
    """A function (inputs, outputs) → linear map with a kernel from N(0, init_std²)."""
    return functools.partial(
        nnx.Linear, use_bias=use_bias, param_dtype=dtype, kernel_init=normal(config), rngs=rngs
    )


def normal(config: OPTConfig) -> nnx.Initializer:
    """The law of new kernels and tables."""
    return nnx.initializers.normal(config.init_std)


def _activation(name):
    if name not in _ACTIVATIONS:
        raise ValueError(f"activation_function is {name!r}; OPT has {', '.join(_ACTIVATIONS)}.")
    return _ACTIVATIONS[name]
