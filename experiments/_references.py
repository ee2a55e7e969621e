"""What a model can do without being trained: zero-shot, in context, and by a linear probe.

- Zero-shot: the prediction is the option with the best score.
- In context: the same, with k examples of the train split before every prompt, the same ones for
  all; what is too long for the model is cut on the left. (MeZO's runs: k = 32.)
- Linear probe: logistic regression with an L2 penalty, by L-BFGS, on what the head of the model
  would contract at the last token of the prompt, at the mask, or where a classifier looks.
  The model stays as it is.

Source: the baselines of Malladi et al., arXiv:2305.17333, appendix E.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from sklearn.linear_model import LogisticRegression

from experiments import tasks
from experiments._evaluation import make_evaluate


class Data(NamedTuple):
    """A task for a model.

    Attributes:
      model: not changed here.
      processor: what makes arrays of the examples.
      task: whose metric judges.
      examples: by split.
      max_length: longer sequences are cut.
      batch_size: examples a call of the model.
    """

    model: nnx.Module
    processor: Any
    task: tasks.Task
    examples: dict[str, list[Any]]
    max_length: int
    batch_size: int

    def encoded(self, **splits: list[Any]) -> dict[str, tasks.Split]:
        """The splits as arrays."""
        max_length, task = self.max_length, self.task
        return tasks.encode_splits(self.processor, splits, max_length=max_length, task=task)


def zero_shot(data: Data) -> float:
    """Returns the score of the model as it is on the test split."""
    return _score(data, data.examples["test"])


def in_context(data: Data, demonstrations: int, seed: int) -> float | None:
    """Returns the score on the test split behind so many demonstrations, drawn by the seed.

    None for a task that is not text which an option ends.

    Raises:
      ValueError: if the train split has fewer examples, or the number is below 0.
    """
    train = data.examples["train"]
    if not isinstance(train[0], tasks.Example):
        return None
    if not 0 <= demonstrations <= len(train):
        raise ValueError(
            f"demonstrations must lie between 0 and {len(train)}, the examples of the train split; "
            f"got {demonstrations}"
        )
    chosen = np.random.default_rng(seed).choice(len(train), demonstrations, replace=False)
    shown = [train[index] for index in chosen]
    asked = tasks.with_demonstrations(demonstrations=shown, examples=data.examples["test"])
    return _score(data, asked)


def linear_probe(data: Data) -> float | None:
    """Returns the score on the test split of a logistic regression on the train split.

    None for a task whose labels are no classes.
    """
    if type(data.task.kind) not in _FEATURES:
        return None
    splits = data.encoded(train=data.examples["train"], test=data.examples["test"])
    features = {name: probed_features(data, split) for name, split in splits.items()}
    probe = LogisticRegression(max_iter=5000).fit(features["train"], splits["train"].labels)
    return data.task.metric(probe.predict(features["test"]), splits["test"].labels)


def probed_features(data: Data, split: tasks.Split) -> np.ndarray:
    """What the head would contract for each example, (examples, width), float32."""
    function = nnx.jit(_FEATURES[type(data.task.kind)])
    order, size = np.arange(len(split.labels)), data.batch_size
    chunks = [np.resize(order[i : i + size], size) for i in range(0, len(order), size)]
    found = [np.asarray(function(data.model, split.batch(chunk))) for chunk in chunks]
    return np.concatenate(found)[: len(order)].astype(np.float32)


_Batch = Mapping[str, jax.Array]


def _at_end_of_prompt(model: nnx.Module, batch: _Batch) -> jax.Array:
    # Tokens only see those before them, so with any of the options the prompt's features are the
    # same ones.
    features = model.features(batch["input_ids"][:, 0], batch["attention_mask"][:, 0])
    return _at(features, features.shape[1] - 1 - batch["option_mask"][:, 0].sum(-1))


def _at_mask(model: nnx.Module, batch: _Batch) -> jax.Array:
    features = model.features(batch["input_ids"], batch["attention_mask"])
    return _at(features, batch["mask_positions"])


def _at_classified(model: nnx.Module, batch: _Batch) -> jax.Array:
    """At the token that a classifier takes: the first of an encoder, the last of a decoder."""
    mask = batch["attention_mask"]
    features = model.features(batch["input_ids"], mask, *tasks.types_for(model, batch))
    return _at(features, mask.sum(-1) - 1) if hasattr(model, "extend") else features[:, 0]


def _at_class_token(model: nnx.Module, batch: _Batch) -> jax.Array:
    return model.features(batch["pixel_values"])[:, 0]


def _at(features: jax.Array, positions: jax.Array) -> jax.Array:
    return jnp.take_along_axis(features, positions[:, None, None], axis=1)[:, 0]


_FEATURES: dict[type, Callable[[nnx.Module, _Batch], jax.Array]] = {
    tasks.Classification: _at_end_of_prompt,
    tasks.Masked: _at_mask,
    tasks.TextClassification: _at_classified,
    tasks.Images: _at_class_token,
}


def _score(data: Data, examples: list[Any]) -> float:
    graphdef, weights = nnx.split(data.model)
    evaluate = make_evaluate(
        data.task,
        data.processor,
        lambda weights: nnx.merge(graphdef, weights),
        batch_size=data.batch_size,
    )
    return evaluate(weights, data.encoded(test=examples)["test"]).score
