"""The classifier that is attacked: a small CNN, trained here in seconds and kept in a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SIZE, CLASSES = 8, 10
_BATCH = 64


class Images(NamedTuple):
    """Images, (n, 8, 8) in [0, 1], and their labels, (n,)."""

    pixels: jax.Array
    labels: jax.Array


class Victim(NamedTuple):
    """A trained classifier.

    Attributes:
      log_probabilities: of the ten digits, for images (n, 8, 8).
      accuracy: on the images of the test.
      tuning: images that it gets right, to tune attacks on.
      attacked: others that it gets right, to report on.
    """

    log_probabilities: Callable[[jax.Array], jax.Array]
    accuracy: float
    tuning: Images
    attacked: Images


class CNN(nnx.Module):
    """Two convolutions, the second one with a stride of 2, and two layers behind them."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.first = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.second = nnx.Conv(8, 16, (3, 3), strides=2, rngs=rngs)
        self.hidden = nnx.Linear(16 * (SIZE // 2) ** 2, 32, rngs=rngs)
        self.last = nnx.Linear(32, CLASSES, rngs=rngs)

    def __call__(self, pixels: jax.Array) -> jax.Array:
        """Logits, (n, 10), of images (n, 8, 8) in [0, 1]."""
        x = nnx.relu(self.first(2 * pixels[..., None] - 1))
        x = nnx.relu(self.second(x)).reshape(len(pixels), -1)
        return self.last(nnx.relu(self.hidden(x)))


def make_victim(folder: Path, steps: int) -> Victim:
    """Trains a classifier, or reads the one that is in the folder."""
    splits = _splits()
    graphdef, params = nnx.split(CNN(rngs=nnx.Rngs(0)), nnx.Param)
    path = folder / f"cnn-{steps}.npz"
    if path.exists():
        params = _read(path, params)
    else:
        params = _trained(graphdef, params, splits["train"], steps)
        _write(path, params)
    logits = jax.jit(lambda pixels: nnx.merge(graphdef, params)(pixels))
    right = {
        name: jnp.argmax(logits(split.pixels), axis=-1) == split.labels
        for name, split in splits.items()
    }
    kept = {name: Images(*(part[right[name]] for part in splits[name])) for name in splits}
    return Victim(
        lambda pixels: jax.nn.log_softmax(nnx.merge(graphdef, params)(pixels)),
        float(jnp.mean(right["test"])),
        kept["validation"],
        kept["test"],
    )


def _splits() -> dict[str, Images]:
    """The same in every run: 60 % to train on, 15 % to tune attacks on, 25 % to report on."""
    digits = load_digits()
    pixels, labels = (digits.images / 16).astype(np.float32), digits.target
    rest, test = train_test_split(
        np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=0
    )
    train, validation = train_test_split(rest, test_size=0.2, stratify=labels[rest], random_state=0)
    places = {"train": train, "validation": validation, "test": test}
    return {
        name: Images(jnp.asarray(pixels[rows]), jnp.asarray(labels[rows]))
        for name, rows in places.items()
    }


def _trained(graphdef: nnx.GraphDef, params: nnx.State, data: Images, steps: int) -> nnx.State:
    tx = optax.adam(optax.cosine_decay_schedule(3e-3, steps))

    def loss(params, rows):
        logits = nnx.merge(graphdef, params)(data.pixels[rows])
        return optax.softmax_cross_entropy_with_integer_labels(logits, data.labels[rows]).mean()

    @jax.jit
    def train(params):
        def step(carry, rows):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params, rows), state, params)
            return (optax.apply_updates(params, updates), state), None

        batches = jax.random.randint(jax.random.key(0), (steps, _BATCH), 0, len(data.labels))
        return jax.lax.scan(step, (params, tx.init(params)), batches)[0][0]

    return train(params)


def _write(path: Path, params: nnx.State) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, *jax.tree.leaves(params))


def _read(path: Path, like: nnx.State) -> nnx.State:
    """Leaves in the order in which they were written."""
    with np.load(path) as file:
        leaves = [jnp.asarray(file[name]) for name in file.files]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
