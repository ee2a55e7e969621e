"""What `evaluate` and `predict` are told: a model, and what it is asked."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import tyro
from flax import nnx

from experiments import tasks
from experiments._heads import HEADS, choose_head
from experiments._inputs import checked_length, load_model, model_source
from experiments._settings import DTYPES
from experiments._trained import Trained, find_trained, positions_taken, with_adapter

# What belongs to a task, and what to the model that reads it.
_OF_ROWS = ("num_train", "num_dev", "num_test", "data_seed")
_OF_TASK = ("task", "head", "template", "options", "metric", *_OF_ROWS)
_OF_MODEL = ("dtype", "max_length")


class Loaded(NamedTuple):
    """A model that is ready.

    Attributes:
      model: with its adapter, if it has one.
      processor: of the model: a tokenizer, or the form of its pictures.
      max_length: of its sequences.
    """

    model: nnx.Module
    processor: Any
    max_length: int


@dataclasses.dataclass(frozen=True)
class ModelAndTask:
    """Where nothing is said, and MODEL is a run of finetune, it is as in that run."""

    model: tyro.conf.Positional[str]
    """The --out folder of a run, the folder of an adapter of PEFT, or what finetune's --model
    takes."""
    task: tyro.conf.Positional[str | None] = None
    """As finetune's --task."""
    head: Literal[HEADS] | None = None
    """As finetune's, like all that follow."""
    template: str | None = None
    """What the model is asked."""
    options: tuple[str, ...] | None = None
    """The answers to choose from."""
    metric: Literal[tuple(tasks.METRICS)] | None = None
    """How a choice is judged."""
    num_train: int | None = None
    """Examples of the train split."""
    num_dev: int | None = None
    """Examples of the validation split."""
    num_test: int | None = None
    """Examples of the test split."""
    data_seed: int | None = None
    """Chooses these examples."""
    max_length: int | None = None
    """Longer texts lose tokens on the left."""
    dtype: Literal[DTYPES] | None = None
    """Of the weights; None: that of the run, or float32."""

    @property
    def trained(self) -> Trained:
        """Where the files of the model are."""
        return find_trained(self.model)

    def of_task(self) -> dict[str, Any]:
        """What `tasks.load_task` is told; the task itself is its `name`.

        Raises:
          ValueError: if neither the command nor a run says which task.
        """
        values = self._values(() if self.task else _OF_TASK)
        if values["task"] is None:
            raise ValueError(
                f"task is missing, and {self.model!r} is no run of experiments.finetune that would "
                "have one; name it behind the model (finetune --list-tasks says what there is)"
            )
        answers = choose_head(
            model_source(self.trained.base),
            values["task"],
            **{name: values[name] for name in ("head", "template", "options")},
        )
        values |= answers._asdict()
        return {"name" if name == "task" else name: values[name] for name in _OF_TASK}

    def load(self, task: tasks.Task) -> Loaded:
        """Reads the model with the head that a task needs.

        Raises:
          ValueError: if it cannot be used for the task.
          FileNotFoundError: if a file is missing.
        """
        values, trained = self._values(_OF_MODEL), self.trained
        dtype = values["dtype"] or "float32"
        model, processor = load_model(trained.base, dtype, task, jax.random.key(0))
        model = with_adapter(model, trained.adapter)
        max_length = checked_length(values["max_length"], model, taken=positions_taken(model))
        return Loaded(model, processor, max_length)

    def _values(self, of_run: tuple[str, ...]) -> dict[str, Any]:
        """What is said here, and where nothing is, what the run said of the names given."""
        run = self.trained.settings
        said = {name: getattr(self, name) for name in (*_OF_TASK, *_OF_MODEL)}
        return said | {name: run.get(name) for name in of_run if said[name] is None}
