"""From the name of a task to its examples by split."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.tasks import _doubts
from experiments.tasks._example import Example, ImageExample, MaskedExample
from experiments.tasks._kinds import Masked
from experiments.tasks._read import SUFFIXES, make_all, read_rows
from experiments.tasks._sampling import PerClass, Rows
from experiments.tasks._table import OWN, TASKS
from experiments.tasks._task import Task

_ASSETS = Path(__file__).parents[1] / "assets"
_SAMPLE = "sample"
_ANY = ", ".join(SUFFIXES[:-1]) + f" or {SUFFIXES[-1]}"
_SPLITS = ("train", "validation", "test")
# Of the shipped samples: they have twelve rows and three of every class, or more, and six to test.
_SMALL = {"num_train": 8, "num_dev": 4, "num_test": 6}
_SMALL_PER_CLASS = {"num_train": 2, "num_dev": 1, "num_test": 6}
Examples = dict[str, list[Example] | list[MaskedExample] | list[ImageExample]]


def load_task(
    name: str,
    *,
    template: str | None = None,
    options: Sequence[str] | None = None,
    num_train: int | None = None,
    num_dev: int | None = None,
    num_test: int | None = None,
    data_seed: int | None = None,
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
      template: replaces the task's own, which for a folder or file is that of "reviews". With
        {mask} in it, a folder or file is for masked language models.
      options: replace the task's own in the same way.
      num_train: examples to train on; None: what the task says, and for a folder or file all.
        For tasks with a mask, examples a class.
      num_dev: examples to choose a checkpoint by, in the same way.
      num_test: examples to report on.
      data_seed: chooses which examples are used.

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
    task = find_task(name, template=template, options=options)
    if task.source is None or Path(place).is_file():
        path = _ASSETS / OWN if name == OWN else Path(place if named in TASKS else name)
        examples = _whole(path, name, task, limits)
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
    name: str, *, template: str | None = None, options: Sequence[str] | None = None
) -> Task:
    """Returns what `load_task` returns, without reading any example.

    Raises:
      ValueError: for a template or options that do not go with the task.
    """
    named = name.partition("@")[0]
    task = TASKS[named] if named in TASKS else _own_task(template)
    return _with_words(task, template, options)


def _check_limits(limits, seed):
    for name, value in limits.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"data_seed must lie between 0 and 2**32 - 1; got {seed}")


def _own_task(template: str | None) -> Task:
    """What is asked of a user's rows."""
    own = TASKS[OWN]
    if template is None or "{mask}" not in template:
        return own
    return dataclasses.replace(own, kind=Masked(template, own.kind.options, max_length=512))


def _with_words(task: Task, template: str | None, options: Sequence[str] | None) -> Task:
    given = {"template": template, "options": tuple(options) if options else None}
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


def _whole(path: Path, name: str, task: Task, limits: dict[str, int]) -> Examples:
    """All examples of a folder or file, or as many of them as the limits say."""
    if path.is_dir():
        files = {split: _file(path, split) for split in _SPLITS}
        examples = {split: _examples(file, task) for split, file in files.items()}
    elif path.is_file():
        examples = _split(_examples(path, task), path)
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
    return examples


def _examples(path: Path, task: Task) -> list:
    rows = read_rows(path)
    examples = make_all(task.example, rows, str(path))
    _doubts.warn_of_empty_texts(task.kind, rows)
    return examples


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
