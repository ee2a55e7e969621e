"""Which rows of a data set are used: of its train split, and of the one that it is tested on.

What both laws call the train split is permuted, so a run sees other rows with another seed, and
the same ones with the same seed, whatever the model. Asking for more rows than there are is no
error unless a split comes out empty; whoever needs the numbers counts the examples.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.tasks import _columns

Rows = Sequence[Mapping[str, Any]]
# Permutations of NumPy's first generator: the rows are then those of the papers' runs.
_generator = np.random.RandomState


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Rows as in MeZO's experiments on large models (arXiv:2305.17333, appendix E.2).

    With π a permutation of the train split and ρ one of the split that is tested on, both drawn
    from the seed: the rows π₁ … πₙ, n = min(num_train + num_dev, all), are drawn, the *last*
    num_dev of them are the validation split and the others the train split; the test split is
    ρ₁ … ρₖ, k = min(num_test, all). So where data are short it is training that gets less: of WSC
    with its 554 rows the validation split has 500, and 54 are left to train on.

    Attributes:
      num_train: rows to train on.
      num_dev: rows to choose a checkpoint by.
      num_test: rows to report on.
      seed: of the permutations.
    """

    num_train: int = 1000
    num_dev: int = 500
    num_test: int = 1000
    seed: int = 0

    def draw(self, train: Rows, test: Rows) -> dict[str, list[Mapping[str, Any]]]:
        """Returns rows by split: train, validation, test."""
        order = _generator(self.seed).permutation(len(train))[: self.num_train + self.num_dev]
        middle = max(0, len(order) - self.num_dev)
        tested = _generator(self.seed).permutation(len(test))[: self.num_test]
        return _pick(train, order[:middle], order[middle:], test, tested)


@dataclasses.dataclass(frozen=True)
class PerClass:
    """Rows as in MeZO's experiments on RoBERTa (arXiv:2305.17333, appendix E.1).

    Of a permutation of the train split, the first num_train rows of every class are the train
    split and the next num_dev the validation split. The test split is a permutation of the one
    that is tested on, by a seed that stays the same, cut to num_test. Rows without a label (those
    of SNLI on which annotators did not agree have -1) are left out first.

    Attributes:
      num_train: rows of every class to train on; 16 and 512 in the paper.
      num_dev: rows of every class to choose a checkpoint by; None: as many.
      num_test: rows to report on.
      seed: of the permutation; the paper's are 13, 21, 42, 87 and 100.
      label: the column of the class.
    """

    num_train: int = 16
    num_dev: int | None = None
    num_test: int = 1000
    seed: int = 13
    label: str = "label"

    def draw(self, train: Rows, test: Rows) -> dict[str, list[Mapping[str, Any]]]:
        """Returns rows by split: train, validation, test."""
        num_dev = self.num_train if self.num_dev is None else self.num_dev
        classes = self._classes(train)
        order = _generator(self.seed).permutation(np.flatnonzero(classes >= 0))
        of_class = [order[classes[order] == label] for label in np.unique(classes[order])]
        split = [self.num_train, self.num_train + num_dev]
        parts = [np.split(rows, split)[:2] for rows in of_class]
        tested = _generator(42).permutation(np.flatnonzero(self._classes(test) >= 0))
        trained, checked = (np.concatenate(rows) for rows in zip(*parts, strict=True))
        return _pick(train, trained, checked, test, tested[: self.num_test])

    def _classes(self, rows: Rows) -> np.ndarray:
        missing = next((row for row in _some(rows) if self.label not in row), None)
        if missing is not None:
            place = getattr(missing, "place", "task")
            raise ValueError(f'{place}: field "{self.label}" is missing; got {sorted(missing)}')
        # A data set reads one column much faster than all of its rows.
        labels = (
            rows[self.label] if hasattr(rows, "column_names") else [r[self.label] for r in rows]
        )
        return _numbered(labels, self.label, rows)


def _numbered(labels: Sequence[Any], name: str, rows: Rows) -> np.ndarray:
    """Classes as integers: those that the labels are, or the places of words in their order."""
    numbers = [
        int(label) if isinstance(label, bool) else _columns.whole_number(label) for label in labels
    ]
    if None not in numbers:
        return np.array(numbers)
    for label, row in zip(labels, rows, strict=True):
        if not isinstance(label, str | int | float):
            place = getattr(row, "place", "task")
            raise ValueError(f'{place}: "{name}" must be a number or a word; got {label!r}')
    return np.unique([str(label).strip() for label in labels], return_inverse=True)[1]


def _some(rows: Rows) -> Rows:
    return [rows[0]] if hasattr(rows, "column_names") else rows


def _pick(train, trained, checked, test, tested):
    parts = {"train": (train, trained), "validation": (train, checked), "test": (test, tested)}
    return {name: [rows[int(i)] for i in indices] for name, (rows, indices) in parts.items()}
