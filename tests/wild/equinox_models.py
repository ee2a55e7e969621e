"""Models made of the layers of equinox, whose weights are (out, in) and meet one token at a time."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from wild_model import Model, Size, next_token_loss


def equinox_mlp(size: Size) -> Model:
    """`eqx.nn.MLP` between an input and an output of 10."""
    mlp = eqx.nn.MLP(10, 10, size.width, size.layers, key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (size.batch * size.length, 10))
    params, static = eqx.partition(mlp, eqx.is_inexact_array)

    def loss(params: Any, batch: jax.Array, held: Any) -> jax.Array:
        del held
        mlp = eqx.combine(params, static)
        return jnp.square(jax.vmap(mlp)(batch) - jnp.roll(batch, 1, -1)).mean()

    return Model(params, loss, x)


class _Layer(eqx.Module):
    attention: eqx.nn.MultiheadAttention
    norms: tuple[eqx.nn.LayerNorm, eqx.nn.LayerNorm]
    mlp: eqx.nn.MLP

    def __init__(self, size: Size, key: jax.Array):
        first, second = jax.random.split(key)
        width = size.width
        self.attention = eqx.nn.MultiheadAttention(size.heads, width, key=first)
        self.norms = (eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width))
        self.mlp = eqx.nn.MLP(width, width, 4 * width, 1, jax.nn.gelu, key=second)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.vmap(self.norms[0])(x)
        x = x + self.attention(y, y, y, mask=jnp.tril(jnp.ones((len(x), len(x)), bool)))
        return x + jax.vmap(lambda x: self.mlp(self.norms[1](x)))(x)


class _Decoder(eqx.Module):
    embed: eqx.nn.Embedding
    layers: list[_Layer]
    head: eqx.nn.Linear

    def __init__(self, size: Size, key: jax.Array):
        first, second, *rest = jax.random.split(key, 2 + size.layers)
        self.embed = eqx.nn.Embedding(size.vocabulary, size.width, key=first)
        self.layers = [_Layer(size, key) for key in rest]
        self.head = eqx.nn.Linear(size.width, size.vocabulary, key=second)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = jax.vmap(self.embed)(tokens)
        for layer in self.layers:
            x = layer(x)
        return jax.vmap(self.head)(x)


def equinox_transformer(size: Size) -> Model:
    """A decoder of `eqx.nn.MultiheadAttention` and `eqx.nn.MLP`, one text at a time."""
    model = _Decoder(size, jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(params: Any, batch: jax.Array, held: Any) -> jax.Array:
        del held
        logits = jax.vmap(eqx.combine(params, static))(batch)
        return next_token_loss(logits, batch)

    return Model(params, loss, size.tokens())
