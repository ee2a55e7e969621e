"""What a model says about rows of a task."""

import dataclasses
from typing import Any

import jax
import numpy as np
from flax import nnx

from experiments import tasks
from experiments._evaluation import make_writer
from experiments._model_and_task import ModelAndTask

# What a row must have to be an example, and no prediction depends on.
_UNKNOWN = {"label": 0, "answers": ("?",)}


class Predictor:
    """A model that is asked about rows, a few at a time.

    Args:
      what: model and task.

    Raises:
      ValueError: if they cannot be read, or do not fit.
    """

    def __init__(self, what: ModelAndTask):
        asked = what.of_task()
        names = ("name", "head", "template", "options")
        task = tasks.find_task(**{name: asked[name] for name in names})
        model, self._processor, self._max_length = what.load(task)
        self._task = _with_classes(task, model)
        graphdef, self._weights = nnx.split(model)
        task = self._task
        self._scores = jax.jit(lambda w, batch: task.scores(nnx.merge(graphdef, w), batch))
        self._writes = isinstance(task.kind, tasks.Generation)
        if self._writes:
            write = make_writer(task.kind, self._processor)
            self._generate = jax.jit(lambda w, batch: write(nnx.merge(graphdef, w), batch))

    def predict(self, rows: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
        """Returns a prediction for each row, as something that JSON can hold.

        Args:
          rows: where each comes from, for errors, and its fields.

        Raises:
          ValueError: for a row that cannot be used, saying where it comes from.
        """
        examples = [self._example(*row) for row in rows]
        split = tasks.encode_splits(
            self._processor, {"rows": examples}, max_length=self._max_length, task=self._task
        )["rows"]
        if self._writes:
            answers = tasks.write_answers(
                self._generate, self._processor, self._weights, split, self._task.kind, len(rows)
            )
            return [{"prediction": answer} for answer in answers]
        scores = tasks.score_split(self._scores, self._weights, split, len(rows))
        return [
            _chosen(_options(self._task, example), row)
            for example, row in zip(examples, scores, strict=True)
        ]

    def _example(self, place: str, row: dict[str, Any]) -> Any:
        try:
            return self._task.example(_UNKNOWN | row)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None


def _with_classes(task: tasks.Task, model: nnx.Module) -> tasks.Task:
    """The task with the classes of a model's classifier, where the task does not know them."""
    if not isinstance(task.kind, tasks.TextClassification) or task.kind.options:
        return task
    kind = dataclasses.replace(task.kind, options=model.config.labels)
    return dataclasses.replace(task, kind=kind)


def _chosen(options: tuple[str, ...], scores: np.ndarray) -> dict[str, Any]:
    """The likeliest option, and the softmax over the scores of all."""
    names = options or tuple(map(str, range(len(scores))))
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    probabilities = {name: float(p) for name, p in zip(names, chances, strict=False)}
    return {"prediction": names[int(scores.argmax())], "probabilities": probabilities}


def _options(task: tasks.Task, example: Any) -> tuple[str, ...]:
    """What an example may be, in words; () where that is a number."""
    if isinstance(task.kind, tasks.TextClassification):
        return task.kind.options
    if isinstance(example, tasks.MaskedExample):
        return example.words
    if isinstance(example, tasks.Example):
        return tuple(text[len(example.prompt) :].strip() for text in example.candidates)
    return ()
