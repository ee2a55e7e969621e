"""One transformer in three forms: a plain list of layers, an NNX list of modules, a scanned OPT.

All are pre-norm decoders with a tied head and a loss at the last token; none of them knows of
zojax.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from zojax import lora
from zojax.models.opt import OPT, OPTConfig


@dataclasses.dataclass(frozen=True)
class Size:
    """Of the model and of a batch of tokens."""

    layers: int = 24
    width: int = 512
    heads: int = 8
    vocabulary: int = 8192
    batch: int = 8
    length: int = 64


class Form(NamedTuple):
    """A model as a pure loss: `loss(params, batch) -> ()`.

    Attributes:
      name: of the form.
      params: arrays, or their shapes where nothing is run.
      loss: see above.
      batch: the shape of a batch, and whatever comes with it, as arrays.
    """

    name: str
    params: Any
    loss: Callable[[Any, Any], jax.Array]
    batch: Any


def forms(size: Size) -> Iterator[Form]:
    """The three forms, made one after another."""
    yield plain_list(size)
    yield nnx_list(size)
    yield scanned(size)


def abstract(make: Callable[[Size], Form], size: Size, dtype: jnp.dtype) -> Form:
    """A form whose params are shapes of this dtype: nothing is made, however large it is."""
    made = []

    def params() -> Any:
        made.append(make(size))
        return made[0].params

    shapes = jax.tree.map(lambda a: a.update(dtype=dtype), jax.eval_shape(params))
    return made[0]._replace(params=shapes)


def _tokens(size: Size) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((size.batch, size.length), jnp.int32)


def last_token_loss(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Cross-entropy of logits (batch, vocabulary) at the last position.

    With all positions, the logits would be most of inference's memory and hide what a step adds.
    """
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[:, -1:], -1).mean()


def _attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """Causal attention, (batch, length, heads, head width)."""
    return jax.nn.dot_product_attention(q, k, v, is_causal=True)


def plain_list(size: Size) -> Form:
    """Plain JAX, the layers in a list."""
    keys = iter(jax.random.split(jax.random.key(0), 4 * size.layers + 1))

    def draw(*shape: int) -> jax.Array:
        return 0.02 * jax.random.normal(next(keys), shape)

    width = size.width

    def layer() -> dict[str, jax.Array]:
        return {
            "qkv": draw(width, 3 * width),
            "out": draw(width, width),
            "up": draw(width, 4 * width),
            "down": draw(4 * width, width),
            "scale_1": jnp.ones(width),
            "scale_2": jnp.ones(width),
        }

    params = {
        "embed": draw(size.vocabulary, width),
        "layers": [layer() for _ in range(size.layers)],
        "scale": jnp.ones(width),
    }

    def norm(x: jax.Array, scale: jax.Array) -> jax.Array:
        centered = x - x.mean(-1, keepdims=True)
        return scale * centered * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)

    def block(x: jax.Array, p: dict[str, jax.Array]) -> jax.Array:
        qkv = (norm(x, p["scale_1"]) @ p["qkv"]).reshape(*x.shape[:2], 3, size.heads, -1)
        x = x + _attend(*jnp.moveaxis(qkv, 2, 0)).reshape(x.shape) @ p["out"]
        return x + jax.nn.gelu(norm(x, p["scale_2"]) @ p["up"]) @ p["down"]

    def loss(params: Any, batch: jax.Array) -> jax.Array:
        x = params["embed"][batch]
        for p in params["layers"]:
            x = block(x, p)
        return last_token_loss(norm(x, params["scale"])[:, -1] @ params["embed"].T, batch)

    return Form("plain list", params, loss, _tokens(size))


class _Block(nnx.Module):
    def __init__(self, size: Size, rngs: nnx.Rngs):
        width = size.width
        self.heads = size.heads
        self.norm_1, self.norm_2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.qkv = nnx.Linear(width, 3 * width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)
        self.up = nnx.Linear(width, 4 * width, rngs=rngs)
        self.down = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        qkv = self.qkv(self.norm_1(x)).reshape(*x.shape[:2], 3, self.heads, -1)
        x = x + self.out(_attend(*jnp.moveaxis(qkv, 2, 0)).reshape(x.shape))
        return x + self.down(jax.nn.gelu(self.up(self.norm_2(x))))


class _Decoder(nnx.Module):
    def __init__(self, size: Size, rngs: nnx.Rngs):
        self.embed = nnx.Embed(size.vocabulary, size.width, rngs=rngs)
        self.blocks = nnx.List([_Block(size, rngs) for _ in range(size.layers)])
        self.norm = nnx.LayerNorm(size.width, rngs=rngs)

    def features(self, tokens: jax.Array) -> jax.Array:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def attend(self, features: jax.Array) -> jax.Array:
        return self.embed.attend(features)


def _of_module(name: str, model: nnx.Module, size: Size) -> Form:
    graphdef, params = nnx.split(model, nnx.Param)

    def loss(params: Any, batch: jax.Array) -> jax.Array:
        model = nnx.merge(graphdef, params)
        return last_token_loss(model.attend(model.features(batch)[:, -1]), batch)

    return Form(name, params, loss, _tokens(size))


def nnx_list(size: Size) -> Form:
    """Flax NNX, the layers in a list of modules."""
    return _of_module("NNX list", _Decoder(size, nnx.Rngs(0)), size)


def scanned(size: Size) -> Form:
    """OPT, its layers stacked and scanned."""
    return _of_module("scanned OPT", _opt(size), size)


def adapted(size: Size) -> Form:
    """The scanned OPT with adapters; they are trained, and the rest comes with the batch."""
    key = jax.random.key(0)
    model = lora.adapt(_opt(size), ("q_proj", "v_proj"), rank=8, scale=2.0, key=key)
    graphdef, adapter, frozen = nnx.split(model, nnx.LoRAParam, ...)

    def loss(adapter: Any, batch: tuple[jax.Array, Any]) -> jax.Array:
        tokens, frozen = batch
        model = nnx.merge(graphdef, adapter, frozen)
        return last_token_loss(model.attend(model.features(tokens)[:, -1]), tokens)

    return Form("OPT with adapters", adapter, loss, (_tokens(size), frozen))


def _opt(size: Size) -> OPT:
    config = OPTConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        word_embed_proj_dim=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        ffn_dim=4 * size.width,
        max_position_embeddings=size.length,
    )
    return OPT(config, rngs=nnx.Rngs(0))
