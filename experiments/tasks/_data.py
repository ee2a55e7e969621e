"""From the name of a task to its examples by split."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.tasks import _doubts
from experiments.tasks._example import Example, ImageExample, MaskedExample, TextExample
from experiments.tasks._kinds import Kind, Masked
from experiments.tasks._metrics import METRICS
from experiments.tasks._read import SUFFIXES, make_all, read_rows
from experiments.tasks._sampling import PerClass, Rows
from experiments.tasks._table import OWN, TASKS
from experiments.tasks._task import Task
from experiments.tasks._text_classification import TextClassification, find_options, texts_of

_ASSETS = Path(__file__).parents[1] / "assets"
_SAMPLE = "sample"
_ANY = ", ".join(SUFFIXES[:-1]) + f" or {SUFFIXES[-1]}"
_SPLITS = ("train", "validation", "test")
# Of the shipped samples: they have twelve rows and three of every class, or more, and six to test.
_SMALL = {"num_train": 8, "num_dev": 4, "num_test": 6}
_SMALL_PER_CLASS = {"num_train": 2, "num_dev": 1, "num_test": 6}
Examples = dict[str, list[Example] | list[MaskedExample] | list[TextExample] | list[ImageExample]]


def kind_of(name: str, template: str | None = None) -> type[Kind]:
    """What the task of this name asks for, unless a classifier answers it; `load_task` has more."""
    return type(_named(name, template).kind)


def is_named(name: str) -> bool:
    """Whether a task is one of `TASKS`, and not a user's own rows."""
    return name.partition("@")[0] in TASKS


def load_task(
    name: str,
    *,
    head: str | None = None,
    template: str | None = None,
    options: Sequence[str] | None = None,
    num_train: int | None = None,
    num_dev: int | None = None,
    num_test: int | None = None,
    data_seed: int | None = None,
    metric: str | None = None,
) -> tuple[Task, Examples]:
    """Returns a task and its examples by split: train, validation, test.

    Args:
      name: one of

        - a name in `TASKS`: rows come from the task's source, usually the Hugging Face hub;
        - NAME@sample: from the few rows of the same columns that are shipped;
        - NAME@FOLDER: from files of the same columns, named like the source's splits
          (train.jsonl and validation.jsonl, say), drawn as from the source;
        - NAME@FILE: from one such file, split as the last of these;
        - a folder with files named train, validation and test, whose rows have `text`, `label` and
          maybe `options`, or what the template says; .jsonl, .json (an array), .csv, .tsv, each
          also as .gz, or .parquet;
        - one such file, of which a tenth becomes the test split and another the validation
          split, always the same ones.
      head: of the model that answers; None: the first of the kind's `heads`. With "classifier",
        options become names of classes: `TextClassification`.
      template: replaces the task's own, which for a folder or file is that of "reviews". With
        {mask} in it, a folder or file is for masked language models. For a classifier it has
        neither {option} nor {mask}, and between the texts of a pair {sep}.
      options: replace the task's own in the same way. For a classifier, a folder or file has those
        that its labels are.
      num_train: examples to train on; None: what the task says, and for a folder or file all.
        For tasks with a mask, examples a class.
      num_dev: examples to choose a checkpoint by, in the same way.
      num_test: examples to report on.
      data_seed: chooses which examples are used.
      metric: one of `METRICS`, in the place of the task's own.

    Raises:
      ValueError: for an unknown task, settings that do not fit it, or data that cannot be read,
        naming file and line.
    """
    limits = {"num_train": num_train, "num_dev": num_dev, "num_test": num_test}
    _check_limits(limits, data_seed)
    limits = {
        key: value for key, value in (limits | {"seed": data_seed}).items() if value is not None
    }
    named, _, place = name.partition("@")
    task = find_task(name, head=head, template=template, options=options, metric=metric)
    if task.source is None or Path(place).is_file():
        path = _ASSETS / OWN if name == OWN else Path(place if named in TASKS else name)
        task, examples = _whole(path, name, task, limits)
    else:
        rows = _drawn(task, named, place, limits)
        examples = {
            split: make_all(task.example, of_split, f"task {name!r}, {split} split")
            for split, of_split in rows.items()
        }
        for of_split in rows.values():
            _doubts.warn_of_empty_texts(task.kind, of_split)
    empty = [split for split in _SPLITS if not examples[split]]
    if empty:
        raise ValueError(
            f"task {name!r} leaves no examples for {' and '.join(empty)}; lower num_train, "
            f"num_dev or num_test, or bring more data"
        )
    _doubts.warn_of_one_answer(task.kind, examples["train"])
    return task, examples


def find_task(
    name: str,
    *,
    head: str | None = None,
    template: str | None = None,
    options: Sequence[str] | None = None,
    metric: str | None = None,
) -> Task:
    """Returns what `load_task` returns, without reading any example.

    A classifier's options are those of the task or of the user, and may then be unknown.

    Raises:
      ValueError: for a head, template, options or a metric that do not go with the task.
    """
    task, options = _judged(_named(name, template), metric), tuple(options or ())
    usual, *others = task.kind.heads
    if head in (None, usual):
        return _with_words(task, template, options)
    if head not in others:
        kind = type(task.kind).__name__.lower()
        raise ValueError(
            f"head {head!r} does not go with a task of the kind {kind}, "
            f"which takes {' or '.join(task.kind.heads)}; choose one of these or another template"
        )
    # Words to choose from say nothing about a user's rows, unless the user gave them.
    options = options or (task.kind.options if is_named(name) else ())
    template = template or task.texts or texts_of(task.kind.template)
    return dataclasses.replace(task, kind=TextClassification(template, options))


def _check_limits(limits, seed):
    for name, value in limits.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"data_seed must lie between 0 and 2**32 - 1; got {seed}")


def _named(name: str, template: str | None) -> Task:
    """The task of this name, or what is asked of a user's rows."""
    named, own = name.partition("@")[0], TASKS[OWN]
    if named in TASKS:
        return TASKS[named]
    if template is None or "{mask}" not in template:
        return own
    return dataclasses.replace(own, kind=Masked(template, own.kind.options, max_length=512))


def _judged(task: Task, metric: str | None) -> Task:
    """The task with a metric of the user's choice."""
    if metric is None:
        return task
    if task.metric not in METRICS.values():
        raise ValueError(
            f"metric {metric!r} judges a choice, and answers of this task are texts, judged by "
            f"{task.metric.__name__}; leave it out"
        )
    return dataclasses.replace(task, metric=METRICS[metric])


def _with_words(task: Task, template: str | None, options: tuple[str, ...]) -> Task:
    given = {"template": template, "options": options}
    given = {key: value for key, value in given.items() if value}
    for name in given:
        if not hasattr(task.kind, name):
            kind = type(task.kind).__name__.lower()
            raise ValueError(f"{name} does not go with a task of the kind {kind}; leave it out")
    return dataclasses.replace(task, kind=dataclasses.replace(task.kind, **given))


def _drawn(task: Task, named: str, place: str, limits: dict[str, int]) -> dict[str, Rows]:
    """Rows drawn from the two splits of a source, as the paper draws them."""
    sampling = task.sampling
    if place == _SAMPLE:
        small = _SMALL_PER_CLASS if isinstance(sampling, PerClass) else _SMALL
        sampling = dataclasses.replace(sampling, **small)
    folder = _ASSETS / "tasks" / named if place == _SAMPLE else Path(place)
    if place and not folder.is_dir():
        raise ValueError(
            f"task {named}@{place}: there is no such folder; it takes one with {task.source.train} "
            f"and {task.source.test} as {_ANY}, or @{_SAMPLE} for what is shipped"
        )
    names = (task.source.train, task.source.test)
    sources = [read_rows(_file(folder, name)) for name in names] if place else task.source.load()
    return dataclasses.replace(sampling, **limits).draw(*sources)


def _whole(path: Path, name: str, task: Task, limits: dict[str, int]) -> tuple[Task, Examples]:
    """All examples of a folder or file, or as many of them as the limits say."""
    if path.is_dir():
        files = {split: _file(path, split) for split in _SPLITS}
        rows = {split: read_rows(file) for split, file in files.items()}
        task = _with_labels(task, [row for of_split in rows.values() for row in of_split], path)
        examples = {split: _examples(rows[split], file, task) for split, file in files.items()}
    elif path.is_file():
        rows = read_rows(path)
        task = _with_labels(task, rows, path)
        examples = _split(_examples(rows, path, task), path)
    else:
        raise ValueError(
            f"task {name!r} is unknown: neither one of {sorted(TASKS)}, nor a folder, nor a "
            f"file of rows ({_ANY})"
        )
    order = np.random.default_rng(limits.get("seed", 0)).permutation
    for split, limit in zip(_SPLITS, ("num_train", "num_dev", "num_test"), strict=True):
        if limit in limits:
            chosen = order(len(examples[split]))[: limits[limit]]
            examples[split] = [examples[split][index] for index in chosen]
    return task, examples


def _examples(rows: list[Any], path: Path, task: Task) -> list:
    examples = make_all(task.example, rows, str(path))
    _doubts.warn_of_empty_texts(task.kind, rows)
    return examples


def _with_labels(task: Task, rows: list[Any], path: Path) -> Task:
    """The task with names of its classes, where nobody named them."""
    if not isinstance(task.kind, TextClassification) or task.kind.options:
        return task
    try:
        options = find_options(rows)
    except ValueError as error:
        raise ValueError(f"task: {path}: {error}") from None
    return dataclasses.replace(task, kind=dataclasses.replace(task.kind, options=options))


def _file(folder: Path, split: str) -> Path:
    files = [folder / f"{split}{suffix}" for suffix in SUFFIXES]
    found = [path for path in files if path.is_file()]
    if not found:
        raise ValueError(
            f"task: {files[0]} is missing; a folder needs a file for every split, named like it, "
            f"as {_ANY}"
        )
    if len(found) > 1:
        raise ValueError(
            f"task: {folder} holds {' and '.join(path.name for path in found)}; keep one for the "
            f"split {split}"
        )
    return found[0]


def _split(examples: list, path: Path) -> Examples:
    tenth = max(1, len(examples) // 10)
    if len(examples) < 3:
        raise ValueError(f"task: {path} holds {len(examples)} examples; at least 3 are needed")
    order = np.random.default_rng(0).permutation(len(examples))
    parts = np.split(order, [len(examples) - 2 * tenth, len(examples) - tenth])
    return {
        split: [examples[index] for index in part]
        for split, part in zip(_SPLITS, parts, strict=True)
    }
