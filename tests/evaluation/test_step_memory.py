"""A MeZO step holds what inference with the doubled batch holds, by the compiler's own account."""

import functools

import jax
import jax.numpy as jnp
import optax
import pytest
from evaluated_models import (
    next_token_loss,
    plain_loss,
    plain_params,
)
from flax import nnx

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from zojax.models import OPT, OPTConfig

# Weights dominate: 2 x 8 tokens in 6 layers, so what is measured is what happens to the weights.
WIDTH, HEADS, VOCAB, LENGTH, DEPTH = 256, 4, 512, 8, 6
TOKENS = jnp.zeros((2, LENGTH), jnp.int32)
KEY = jax.random.key(0)
RADIUS, LEARNING_RATE = 1e-3, 1e-6


def plain():
    params = jax.eval_shape(
        lambda key: plain_params(key, width=WIDTH, vocab=VOCAB, depth=DEPTH, length=LENGTH), KEY
    )
    return params, functools.partial(plain_loss, heads=HEADS)


def of_module(make):
    graphdef, params = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))), nnx.Param)
    return params, lambda params, tokens: next_token_loss(
        nnx.merge(graphdef, params)(tokens), tokens
    )


class Layer(nnx.Module):
    """Attention with an axis for the heads in its kernels, and a feed-forward block."""

    def __init__(self, rngs):
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.up = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs)
        self.down = nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm(x))
        return x + self.down(nnx.gelu(self.up(x)))


class Model(nnx.Module):
    """A list of modules."""

    def __init__(self, rngs):
        self.embed = nnx.Embed(VOCAB, WIDTH, rngs=rngs)
        self.layers = nnx.List([Layer(rngs) for _ in range(DEPTH)])

    def __call__(self, tokens):
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.embed.attend(x)


def modules():
    return of_module(Model)


def scanned():
    config = OPTConfig(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        ffn_dim=4 * WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        max_position_embeddings=LENGTH,
    )
    return of_module(lambda rngs: OPT(config, rngs=rngs))


def weights_and_temporaries(step, *args, donated=()):
    """Their bytes, and the temporaries."""
    compiled = jax.jit(step, donate_argnums=donated).lower(*args).compile(BUFFERS_AS_USERS_HAVE)
    weights = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(args[0]))
    return weights + compiled.memory_analysis().temp_size_in_bytes


@functools.cache
def inference(model):
    params, loss = model()
    return weights_and_temporaries(loss, params, jnp.concatenate([TOKENS, TOKENS]))


def mezo(params, loss, sampler, method=zojax.mezo):
    tx = method(LEARNING_RATE, KEY, radius=RADIUS, sampler=sampler)

    def step(params, state, tokens):
        updates, state = tx.update(None, state, params, value_fn=loss, tokens=tokens)
        return optax.apply_updates(params, updates), state

    state = jax.eval_shape(tx.init, params)
    return weights_and_temporaries(step, params, state, TOKENS, donated=(0, 1))


def naive(params, loss):
    """The naive step: two perturbed copies."""

    def step(params, tokens):
        leaves, treedef = jax.tree.flatten(params)
        keys = jax.random.split(KEY, len(leaves))
        z = treedef.unflatten(
            [
                jax.random.normal(key, leaf.shape, leaf.dtype)
                for key, leaf in zip(keys, leaves, strict=True)
            ]
        )

        def move(radius):
            return jax.tree.map(lambda p, z: p + radius * z, params, z)

        slope = (loss(move(RADIUS), tokens) - loss(move(-RADIUS), tokens)) / (2 * RADIUS)
        return move(-LEARNING_RATE * slope)

    return weights_and_temporaries(step, params, TOKENS, donated=(0,))


LAWS = {
    "gaussian": (zojax.gaussian(), 1.10),
    "rademacher": (zojax.rademacher(), 1.10),
    "rank_1": (zojax.factored(1), 1.05),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("model", [plain, scanned], ids=lambda model: model.__name__)
def test_a_step_holds_what_inference_holds(model, law):
    """Nothing of the size of params, and no more than a layer's noise at a time."""
    params, loss = model()
    sampler, most = LAWS[law]
    assert mezo(params, loss, sampler) <= most * inference(model)


@pytest.mark.parametrize(
    ("sampler", "most"),
    [(zojax.rademacher(), 1.10), (zojax.factored(1), 1.05)],
    ids=["rademacher", "rank_1"],
)
def test_a_step_of_modules_holds_what_inference_holds(sampler, most):
    """Their attention kernels have an axis for the heads; read as stacks they had large factors."""
    params, loss = modules()
    assert mezo(params, loss, sampler) <= most * inference(modules)


def test_a_step_on_one_block_of_a_list_holds_the_noise_of_one_layer():
    """Of which there are six, besides what a step of MeZO may hold."""
    params, loss = plain()
    layer = sum(4 * leaf.size for leaf in jax.tree.leaves(params)) / DEPTH
    most = 1.05 * inference(plain) + layer
    assert mezo(params, loss, zojax.gaussian(), zojax.mezo_bcd) <= most


def rounded(*args, **kwargs):
    return zojax.round_stochastically(zojax.mezo(*args, **kwargs), KEY)


@pytest.mark.parametrize(
    ("model", "law"), [(scanned, "gaussian"), (scanned, "rademacher"), (plain, "rank_1")]
)
def test_a_step_that_rounds_at_random_holds_no_more(model, law):
    """Neither its random words nor updates in float32: bfloat16 params, beside the plain step."""
    params, loss = model()
    half = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), params)
    sampler, _ = LAWS[law]
    assert mezo(half, loss, sampler, rounded) <= 1.01 * mezo(half, loss, sampler)


def test_the_plain_step_holds_the_params_several_times():
    """So that the numbers above mean something: the same account of the naive step."""
    params, loss = scanned()
    assert naive(params, loss) >= 2.5 * inference(scanned)
