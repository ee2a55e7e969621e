"""What a task is: a record of where its rows come from and what is asked about them."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax

from experiments.tasks._columns import Row
from experiments.tasks._example import Example, ImageExample, MaskedExample, TextExample
from experiments.tasks._kinds import Kind
from experiments.tasks._metrics import accuracy
from experiments.tasks._sampling import PerClass, Rows, Sampling

_LARGE_MODELS = Sampling()


class Source(Protocol):
    """Where the rows of a task are.

    Attributes:
      train: the name of the split that train and validation examples are drawn from.
      test: that of the split that test examples are drawn from.
    """

    @property
    def train(self) -> str: ...
    @property
    def test(self) -> str: ...
    def load(self) -> tuple[Rows, Rows]:
        """Returns the rows of both splits."""


@dataclasses.dataclass(frozen=True)
class Hub:
    """A data set of the Hugging Face hub, read by `datasets`.

    Attributes:
      path: of the repository.
      name: of the configuration, where there are several.
      train: the split that train and validation examples are drawn from.
      test: the split that test examples are drawn from. Where the labels of the official test
        split are secret, papers report on the validation split.
      revision: where the files of the main branch cannot be read without running code.
    """

    path: str
    name: str | None = None
    train: str = "train"
    test: str = "validation"
    revision: str | None = None

    def load(self) -> tuple[Rows, Rows]:
        """Downloads what is not in the cache, and returns the rows of both splits.

        Raises:
          ValueError: if `datasets` is not installed, or the data cannot be had.
        """
        try:
            # Its import takes a second, and most runs do without.
            datasets = importlib.import_module("datasets")
        except ImportError:
            raise ValueError(f"data set {self} needs datasets; install it with pip") from None
        try:
            train, test = (
                datasets.load_dataset(self.path, self.name, split=split, revision=self.revision)
                for split in (self.train, self.test)
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"data set {self} cannot be read from the Hugging Face hub ({error}); without it, "
                f"add @FOLDER to the task, with files {self.train} and {self.test}, such as "
                f"{self.train}.jsonl, or @sample"
            ) from None
        return train, test

    def __str__(self):
        return f"{self.path}/{self.name}" if self.name else self.path


@dataclasses.dataclass(frozen=True)
class Digits:
    """The 1797 handwritten digits, 8 × 8 gray values from 0 to 16, that scikit-learn ships.

    The last 500 are for testing: the file is ordered by writer, so they come from other hands.

    Source: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.
    """

    train: str = "train"
    test: str = "test"

    def load(self) -> tuple[Rows, Rows]:
        """Returns the rows of both splits; gray values become 0 … 255.

        Raises:
          ValueError: if scikit-learn is not installed.
        """
        try:
            digits = importlib.import_module("sklearn.datasets").load_digits()
        except ImportError:
            raise ValueError("task 'digits' needs scikit-learn; install it with pip") from None
        pixels = (digits.images * 255 / 16).round().astype("uint8")
        rows = [
            {"image": image, "label": int(label)}
            for image, label in zip(pixels, digits.target, strict=True)
        ]
        return rows[:-500], rows[-500:]

    def __str__(self):
        return "scikit-learn"


@dataclasses.dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
      kind: what is asked, and how it is trained and scored.
      source: where the rows are; None: in a file or folder of the user's.
      sampling: which rows are used.
      row: makes the fields that the kind needs of a row of the source.
      metric: judges predictions against labels, or generated texts against answers.
      texts: the template for a classifier, where the fields of the kind's template are not the
        texts as they are.
    """

    kind: Kind
    source: Source | None = None
    sampling: Sampling | PerClass = _LARGE_MODELS
    row: Callable[[Row], Mapping[str, Any]] = dict
    metric: Callable[[Any, Any], float] = accuracy
    texts: str | None = None

    def example(self, row: Row) -> Example | MaskedExample | TextExample | ImageExample:
        """Makes an example of a row of the source.

        Raises:
          ValueError: if something is missing or of the wrong kind, naming it.
        """
        return self.kind.example(self.row(row))

    def loss(self, model: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
        """What training minimizes, shape (), float32; the kind's."""
        return self.kind.loss(model, batch)

    def scores(self, model: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
        """What predictions are made of, shape (B, C), float32; the kind's."""
        return self.kind.scores(model, batch)
