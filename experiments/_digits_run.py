"""The data, the model and the runs of the digits experiment."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import zojax
from experiments._digits_settings import EVALUATIONS, Settings
from zojax.models import ViT, ViTConfig

HALF = 5


class Split(NamedTuple):
    """Images, (n, 1, 8, 8) in [-1, 1], and labels, (n,), from 0 to 4."""

    images: jax.Array
    labels: jax.Array


class Model(NamedTuple):
    """A graph definition, and params that start from its training on the digits 0 to 4."""

    graphdef: Any
    params: Any


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


def pretrain(settings: Settings, data: Split) -> Model:
    """Trains a ViT by optax.adamw, then takes its classifier's weights away."""
    config = ViTConfig(
        hidden_size=settings.width,
        num_hidden_layers=settings.depth,
        num_attention_heads=4,
        intermediate_size=2 * settings.width,
        image_size=8,
        patch_size=2,
        num_channels=1,
        labels=tuple("01234"),
    )
    graphdef, params = nnx.split(ViT(config, rngs=nnx.Rngs(0)), nnx.Param)
    tx = optax.adamw(optax.linear_schedule(2e-3, 0.0, settings.pretrain_steps))
    loss = functools.partial(mean_loss, graphdef)

    @jax.jit
    def train(params):
        def step(carry, rows):
            params, state = carry
            gradient = jax.grad(loss)(params, _take(data, rows))
            updates, state = tx.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), None

        batches = _batches(0, settings.pretrain_steps, settings.batch_size, data)
        return jax.lax.scan(step, (params, tx.init(params)), batches)[0][0]

    params = train(params)
    params["classifier"] = jax.tree.map(jnp.zeros_like, params["classifier"])
    return Model(graphdef, params)


def mean_loss(graphdef: Any, params: Any, data: Split) -> jax.Array:
    """Mean cross-entropy over all images."""
    logits = nnx.merge(graphdef, params)(data.images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, data.labels).mean()


def trainer(method: str, settings: Settings, model: Model, data: Split) -> Callable:
    """A compiled function (learning rate, seed) → params, loss evaluations, updates withheld."""
    steps = settings.evaluations // EVALUATIONS[method](settings.num_queries)
    loss = functools.partial(mean_loss, model.graphdef)

    @jax.jit
    def train(rate, seed):
        key = jax.random.key(seed)
        tx = _transformation(method, settings, rate, steps, key)

        def step(carry, rows):
            params, state = carry
            updates, state = tx.update(None, state, params, value_fn=loss, data=_take(data, rows))
            return (optax.apply_updates(params, updates), state), None

        carry = model.params, tx.init(model.params)
        batches = _batches(seed, steps, settings.batch_size, data)
        params, state = jax.lax.scan(step, carry, batches)[0]
        counted = (optax.tree.get(state, name) for name in ("num_evaluations", "num_nonfinite"))
        return params, *counted

    return train


def _transformation(
    method: str, settings: Settings, rate: jax.Array, steps: int, key: jax.Array
) -> optax.GradientTransformationExtraArgs:
    """Both methods decay their learning rates linearly to zero."""
    decay = optax.linear_schedule(rate, 0.0, steps)
    if method == "mezo":
        return zojax.mezo(decay, key, radius=settings.radius)
    return zojax.zo_muon(
        decay,
        key,
        learning_rate_1d=optax.linear_schedule(settings.learning_rate_1d, 0.0, steps),
        radius=settings.radius,
        num_queries=settings.num_queries,
        rank=settings.rank,
        period=settings.period,
    )


def _batches(seed: int | jax.Array, steps: int, size: int, data: Split) -> jax.Array:
    """The rows of all batches, (steps, size)."""
    return jax.random.randint(jax.random.key(seed), (steps, size), 0, len(data.labels))


def _take(data: Split, rows: jax.Array) -> Split:
    return Split(data.images[rows], data.labels[rows])


def scorer(model: Model) -> Callable[[Any, Split], tuple[jax.Array, jax.Array]]:
    """A compiled function (params, data) → accuracy and loss over all images."""

    @jax.jit
    def score(params, data):
        logits = nnx.merge(model.graphdef, params)(data.images)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, data.labels).mean()
        return jnp.mean(jnp.argmax(logits, axis=-1) == data.labels), loss

    return score
