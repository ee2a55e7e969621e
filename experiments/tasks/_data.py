"""Reading tasks: JSON lines in a folder of three splits, or in one file that is split here."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.tasks._task import TASKS, Example, Task

_ASSETS = Path(__file__).parents[1] / "assets"
_SPLITS = ("train", "validation", "test")


def load_task(
    name: str, *, template: str | None = None, options: Sequence[str] | None = None
) -> tuple[Task, dict[str, list[Example]]]:
    """Returns a task and its examples by split: train, validation, test.

    Args:
      name: a name in `TASKS`; or a folder with train.jsonl, validation.jsonl and test.jsonl;
        or one .jsonl file, of which a tenth becomes the test split and another the validation
        split, always the same ones.
      template: replaces the task's own, which for a folder or file is that of "reviews".
      options: replace the task's own in the same way.

    Raises:
      ValueError: for an unknown task, or data that cannot be read, naming file and line.
    """
    task = TASKS.get(name, TASKS["reviews"])
    given = {"template": template, "options": tuple(options) if options else None}
    task = dataclasses.replace(task, **{key: value for key, value in given.items() if value})
    path = _ASSETS / name if name in TASKS else Path(name)
    if path.is_dir():
        examples = {split: _read(path / f"{split}.jsonl", task) for split in _SPLITS}
    elif path.is_file():
        examples = _split(_read(path, task), path)
    else:
        raise ValueError(
            f"task {name!r} is unknown: neither one of {sorted(TASKS)}, nor a folder, nor a "
            f"file of JSON lines"
        )
    _check_options(examples, name)
    return task, examples


def _read(path: Path, task: Task) -> list[Example]:
    if not path.is_file():
        raise ValueError(f"task: {path} is missing; a folder needs {', '.join(_SPLITS)} as .jsonl")
    examples = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            examples.append(task.example(_parse(line)))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if not examples:
        raise ValueError(f"task: {path} holds no examples")
    return examples


def _parse(line: bytes) -> dict:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text ({error.reason})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg}, column {error.colno})") from None
    if not isinstance(record, dict):
        raise ValueError('not a JSON object like {"text": ..., "label": ...}')
    return record


def _split(examples: list[Example], path: Path) -> dict[str, list[Example]]:
    tenth = max(1, len(examples) // 10)
    if len(examples) < 3:
        raise ValueError(f"task: {path} holds {len(examples)} examples; at least 3 are needed")
    order = np.random.default_rng(0).permutation(len(examples))
    parts = np.split(order, [len(examples) - 2 * tenth, len(examples) - tenth])
    return {
        split: [examples[index] for index in part]
        for split, part in zip(_SPLITS, parts, strict=True)
    }


def _check_options(examples: dict[str, list[Example]], name: str) -> None:
    counts = {len(example.candidates) for split in examples.values() for example in split}
    if len(counts) > 1:
        raise ValueError(
            f"task {name!r}: every example needs the same number of options; got {sorted(counts)}"
        )
