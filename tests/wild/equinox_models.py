"""Models of the layers of equinox, whose weights are (out, in) and meet one token at a time."""

from typing import Any

import jax
import jax.numpy as jnp
from wild_model import Model, Size, next_token_loss


def equinox_mlp(size: Size) -> Model:
    """`eqx.nn.MLP` on a batch of vectors of its width."""
    import equinox as eqx

    key, of_batch = jax.random.split(jax.random.key(0))
    mlp = eqx.nn.MLP(size.width, size.width, size.width, size.layers, jax.numpy.tanh, key=key)
    x = jax.random.normal(of_batch, (size.batch * size.length, size.width))
    params, static = eqx.partition(mlp, eqx.is_inexact_array)

    def loss(params: Any, batch: jax.Array, held: Any) -> jax.Array:
        del held
        mlp = eqx.combine(params, static)
        return jnp.square(jax.vmap(mlp)(batch) - jnp.roll(batch, 1, -1)).mean()

    return Model(params, loss, x)


def equinox_transformer(size: Size) -> Model:
    """A decoder of `eqx.nn.MultiheadAttention` and `eqx.nn.MLP`, one text at a time."""
    import equinox as eqx

    model = _decoder(size, jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(params: Any, batch: jax.Array, held: Any) -> jax.Array:
        del held
        model = eqx.combine(params, static)
        logits = jax.vmap(lambda tokens: _logits(model, tokens))(batch)
        return next_token_loss(logits, batch)

    return Model(params, loss, size.tokens())


def _decoder(size: Size, key: jax.Array) -> dict[str, Any]:
    import equinox as eqx

    width = size.width

    def layer(key: jax.Array) -> dict[str, Any]:
        first, second = jax.random.split(key)
        return {
            "attention": eqx.nn.MultiheadAttention(size.heads, width, key=first),
            "norms": [eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width)],
            "mlp": eqx.nn.MLP(width, width, 4 * width, 1, jax.nn.gelu, key=second),
        }

    first, second, *rest = jax.random.split(key, 2 + size.layers)
    return {
        "embed": eqx.nn.Embedding(size.vocabulary, width, key=first),
        "layers": [layer(key) for key in rest],
        "head": eqx.nn.Linear(width, size.vocabulary, key=second),
    }


def _logits(model: dict[str, Any], tokens: jax.Array) -> jax.Array:
    x = jax.vmap(model["embed"])(tokens)
    causal = jnp.tril(jnp.ones((len(tokens), len(tokens)), bool))
    for layer in model["layers"]:
        first, second = (jax.vmap(norm) for norm in layer["norms"])
        y = first(x)
        x = x + layer["attention"](y, y, y, mask=causal)
        x = x + jax.vmap(layer["mlp"])(second(x))
    return jax.vmap(model["head"])(x)
