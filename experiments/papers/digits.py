"""A small vision transformer on scikit-learn's handwritten digits, 8 by 8 pixels.

It is trained on the digits 0 to 4 by `optax.adamw`; what a method then has to learn are the digits
5 to 9, with all weights and a new classifier of zeros (`digits`), or with a LoRA adapter under the
old classifier, whose five answers get new meanings (`adapted_digits`).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from experiments._ar1_toy import with_noise
from experiments.papers.problem import Problem
from zojax import lora
from zojax.models import ViT, ViTConfig

HALF = 5
BATCH = 32
# Linear layers of the model, all of them square or nearly so.
TARGETS = ("query", "value", "output.dense", "intermediate.dense")


class Split(NamedTuple):
    """Images, (n, 1, 8, 8) in [-1, 1], and labels, (n,), from 0 to 4."""

    images: jax.Array
    labels: jax.Array


def halves() -> list[dict[str, Split]]:
    """The digits 0 to 4, and 5 to 9: each with 60 % for training, 15 % for validation, 25 % test.

    The split is the same in every run, and has the same shares of every digit.
    """
    digits = load_digits()
    return [_split(digits, digits.target // HALF == half) for half in range(2)]


def _split(digits: Any, chosen: np.ndarray) -> dict[str, Split]:
    images = (digits.images[chosen, None] / 8 - 1).astype(np.float32)
    labels = digits.target[chosen] % HALF
    rest, test = train_test_split(
        np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=0
    )
    train, validation = train_test_split(rest, test_size=0.2, stratify=labels[rest], random_state=0)
    places = {"train": train, "validation": validation, "test": test}
    return {
        name: Split(jnp.asarray(images[rows]), jnp.asarray(labels[rows]))
        for name, rows in places.items()
    }


@functools.cache
def pretrained(width: int, depth: int, steps: int = 300) -> nnx.Module:
    """A ViT that knows the digits 0 to 4."""
    config = ViTConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=4,
        intermediate_size=2 * width,
        image_size=8,
        patch_size=2,
        num_channels=1,
        labels=tuple("01234"),
    )
    graphdef, params = nnx.split(ViT(config, rngs=nnx.Rngs(0)), nnx.Param)
    tx = optax.adamw(optax.linear_schedule(2e-3, 0.0, steps))
    data = halves()[0]["train"]

    @jax.jit
    def train(params: Any) -> Any:
        def step(carry: Any, key: jax.Array) -> tuple[Any, None]:
            params, state = carry
            batch = _batch(data, key)
            gradient = jax.grad(lambda params: cross_entropy(graphdef, params, batch))(params)
            updates, state = tx.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), None

        keys = jax.random.split(jax.random.key(0), steps)
        return jax.lax.scan(step, (params, tx.init(params)), keys)[0][0]

    return nnx.merge(graphdef, train(params))


def digits(name: str, *, width: int, depth: int, budget: int) -> Problem:
    """All weights, from a classifier of zeros."""
    graphdef, params = nnx.split(pretrained(width, depth), nnx.Param)
    params["classifier"] = jax.tree.map(jnp.zeros_like, params["classifier"])
    return _classified(name, budget, graphdef, lambda key: params)


def adapted_digits(
    name: str, *, rank: int, scale: float, noise: float, width: int, depth: int, budget: int
) -> Problem:
    """An adapter, with noise of size `noise` in every evaluation of the loss."""
    model = pretrained(width, depth)

    def adapted(key: jax.Array) -> nnx.Module:
        return lora.adapt(model, TARGETS, rank=rank, scale=scale, key=key)

    def start(key: jax.Array) -> Any:
        return nnx.split(adapted(key), nnx.LoRAParam, ...)[1]

    graphdef, _, frozen = nnx.split(adapted(jax.random.key(0)), nnx.LoRAParam, ...)
    return _classified(name, budget, graphdef, start, frozen, noise=noise)


def _classified(
    name: str, budget: int, graphdef: Any, start: Any, *frozen: Any, noise: float = 0.0
) -> Problem:
    data = halves()[1]

    def draw(key: jax.Array) -> tuple[Split, jax.Array]:
        return _batch(data["train"], key), jax.random.fold_in(key, 1)

    def loss(params: Any, data: tuple[Split, jax.Array]) -> jax.Array:
        batch, key = data
        value = cross_entropy(graphdef, params, batch, *frozen)
        return with_noise(value, noise, key) if noise else value

    def scores(params: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        validation = cross_entropy(graphdef, params, data["validation"], *frozen)
        logits = nnx.merge(graphdef, params, *frozen)(data["test"].images)
        labels = data["test"].labels
        test = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return validation, test, jnp.mean(jnp.argmax(logits, axis=-1) == labels)

    return Problem(name, start, draw, loss, scores, budget)


def cross_entropy(graphdef: Any, params: Any, data: Split, *frozen: Any) -> jax.Array:
    """The mean over all images."""
    logits = nnx.merge(graphdef, params, *frozen)(data.images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, data.labels).mean()


def _batch(data: Split, key: jax.Array) -> Split:
    rows = jax.random.randint(key, (BATCH,), 0, len(data.labels))
    return Split(data.images[rows], data.labels[rows])
