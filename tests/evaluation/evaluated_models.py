"""Tiny models, each a pair (params, loss), that together meet every rule of the evaluation."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import nnx

from zojax.models import OPT, OPTConfig

WIDTH, HEADS, VOCAB, LENGTH, DEPTH = 8, 2, 16, 5, 2
TOKENS = jnp.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
IMAGES = jnp.sin(jnp.arange(2 * 6 * 6 * 3, dtype=jnp.float32)).reshape(2, 6, 6, 3)
CAUSAL = jnp.tril(jnp.ones((LENGTH, LENGTH), bool))


def next_token_loss(logits, tokens):
    """Mean cross entropy of each token given those before it."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], tokens[:, 1:])
    return losses.mean()


def plain_params(key, *, width=WIDTH, vocab=VOCAB, depth=DEPTH, length=LENGTH):
    """Params of a transformer as a list of dicts."""
    keys = iter(jax.random.split(key, 2 + 4 * depth))

    def draw(*shape):
        return 0.3 * jax.random.normal(next(keys), shape)

    layers = [
        {
            "qkv": draw(width, 3 * width),
            "out": draw(width, width),
            "up": draw(width, 4 * width),
            "down": draw(4 * width, width),
            "norms": jnp.ones((2, width)),
        }
        for _ in range(depth)
    ]
    tables = {"embed": draw(vocab, width), "positions": draw(length, width)}
    return {**tables, "layers": layers, "norm": jnp.ones(width)}


def plain_loss(params, tokens=TOKENS, heads=HEADS):
    """A causal transformer with a tied head, in jax.numpy."""
    x = params["embed"][tokens] + params["positions"]
    for layer in params["layers"]:
        qkv = jnp.split(_norm(x, layer["norms"][0]) @ layer["qkv"], 3, -1)
        query, key, value = (a.reshape(*a.shape[:2], heads, -1) for a in qkv)
        mixed = jax.nn.dot_product_attention(query, key, value, is_causal=True)
        x = x + mixed.reshape(x.shape) @ layer["out"]
        x = x + jax.nn.gelu(_norm(x, layer["norms"][1]) @ layer["up"]) @ layer["down"]
    return next_token_loss(_norm(x, params["norm"]) @ params["embed"].T, tokens)


def _norm(x, scale):
    x = x - x.mean(-1, keepdims=True)
    return scale * x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5)


class Block(nnx.Module):
    """A layer made of as many kinds of Flax layers as fit."""

    def __init__(self, width, heads, rngs):
        self.first_norm = nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.second_norm = nnx.RMSNorm(width, rngs=rngs)
        self.up = nnx.LinearGeneral(width, (heads, 2 * width), rngs=rngs)
        self.mix = nnx.Einsum("bthd,hde->bte", (heads, 2 * width, width), (width,), rngs=rngs)
        self.gate = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x):
        causal = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))
        x = x + self.attention(self.first_norm(x), mask=causal)
        y = self.second_norm(x)
        return x + self.mix(nnx.gelu(self.up(y))) * nnx.sigmoid(self.gate(y))


class Transformer(nnx.Module):
    """A list of modules between an embedding and the same embedding as the head."""

    def __init__(self, rngs, *, width=WIDTH, heads=HEADS, vocab=VOCAB, depth=DEPTH):
        self.embed = nnx.Embed(vocab, width, rngs=rngs)
        self.blocks = nnx.List([Block(width, heads, rngs) for _ in range(depth)])

    def __call__(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.embed.attend(x)


def nnx_params_and_loss(model, tokens=TOKENS):
    """(params, loss) of a language model that is an nnx module."""
    graphdef, params = nnx.split(model, nnx.Param)
    return params, lambda params: next_token_loss(nnx.merge(graphdef, params)(tokens), tokens)


class LinenBlock(nn.Module):
    """A layer in the form that nn.scan takes."""

    @nn.compact
    def __call__(self, x, _):
        x = x + nn.MultiHeadDotProductAttention(HEADS)(nn.LayerNorm()(x), mask=CAUSAL)
        return x + nn.Dense(WIDTH)(nn.gelu(nn.Dense(2 * WIDTH)(nn.RMSNorm()(x)))), None


class LinenTransformer(nn.Module):
    """Rematerialized layers, stacked and scanned."""

    @nn.compact
    def __call__(self, tokens):
        embed = nn.Embed(VOCAB, WIDTH)
        stack = nn.scan(
            nn.remat(LinenBlock), variable_axes={"params": 0}, split_rngs={"params": True}, length=2
        )
        x, _ = stack()(embed(tokens), None)
        return embed.attend(x)


class ConvNet(nnx.Module):
    """Two convolutions, one of them grouped, and a linear head."""

    def __init__(self, rngs):
        self.first = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.norm = nnx.GroupNorm(4, num_groups=2, rngs=rngs)
        self.second = nnx.Conv(4, 6, (2, 2), feature_group_count=2, strides=2, rngs=rngs)
        self.head = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, images):
        x = nnx.relu(self.norm(self.first(images)))
        return self.head(nnx.relu(self.second(x)).mean((1, 2)))


def plain_model(depth=DEPTH):
    return plain_params(jax.random.key(0), depth=depth), plain_loss


def nnx_model(depth=DEPTH):
    return nnx_params_and_loss(Transformer(nnx.Rngs(0), depth=depth))


def opt_model():
    config = OPTConfig(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        ffn_dim=2 * WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        max_position_embeddings=LENGTH,
        init_std=0.3,
    )
    return nnx_params_and_loss(OPT(config, rngs=nnx.Rngs(0)))


def linen_model():
    model = LinenTransformer()
    params = model.init(jax.random.key(0), TOKENS)
    return params, lambda params: next_token_loss(model.apply(params, TOKENS), TOKENS)


def conv_model():
    graphdef, params = nnx.split(ConvNet(nnx.Rngs(0)), nnx.Param)

    def loss(params):
        logits = nnx.merge(graphdef, params)(IMAGES)
        return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.array([0, 2])).mean()

    return params, loss


MODELS = {
    "plain": plain_model,
    "nnx": nnx_model,
    "opt": opt_model,
    "linen": linen_model,
    "conv": conv_model,
}
