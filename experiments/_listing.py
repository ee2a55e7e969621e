"""What there is to choose from, as tables."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import safetensors
from rich import box
from rich.console import Console
from rich.table import Table

import zojax
from experiments import _combinations, _first_order, tasks
from experiments._adapters import ADAPTERS
from experiments._inputs import shipped_models
from experiments._methods import METHODS
from zojax import models


def print_methods(console: Console) -> None:
    """Methods with the numbers that they start from."""
    table = _table("--method", "what it is", "losses", "all", "lora", "prefix")
    for name, recipe in METHODS.items():
        trains = ("lora",) if recipe.needs_lora else ADAPTERS
        table.add_row(
            name,
            _summary(_made_by(name)),
            str(recipe.evaluations(recipe.num_queries)),
            *(f"{recipe.rate(what):g}" if what in trains else "" for what in ADAPTERS),
        )
    console.print(table)
    console.print(
        "losses: evaluated an update, a gradient counting as three. all, lora, prefix: learning "
        "rates to start from, by what is trained; those of all were searched on the shipped model."
    )


def _made_by(name: str) -> Callable:
    return next(
        getattr(of, name) for of in (zojax, _combinations, _first_order) if hasattr(of, name)
    )


def print_tasks(console: Console) -> None:
    """Tasks that have a name."""
    table = _table("--task", "kind", "data", "metric")
    for row in tasks.describe():
        table.add_row(*row)
    console.print(table)
    console.print(
        "or NAME@FOLDER with the same columns, NAME@sample (a few shipped rows); or a folder with "
        "train.jsonl, validation.jsonl and test.jsonl, or one .jsonl file"
    )


def print_models(console: Console) -> None:
    """Shipped models, and the families that can be read."""
    table = _table("--model", "family", "weights", "size")
    for folder in shipped_models():
        family = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        file = folder / "model.safetensors"
        table.add_row(
            folder.name, family, f"{_count(file):,}", f"{file.stat().st_size / 1e6:,.1f} MB"
        )
    console.print(table)
    table = _table("model_type", "class", "heads")
    for name, family in models.families().items():
        heads = (head.replace("_", " ") for head in family.architectures if head)
        table.add_row(name, family.__name__, ", ".join(heads))
    console.print(table)
    console.print(
        "A folder or a Hugging Face id of a checkpoint of one of these families does as well."
    )


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE)
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0, style="bold" if place == 0 else "")
    return table


def _count(file: Path) -> int:
    """How many numbers a file of tensors holds; reads its header only."""
    with safetensors.safe_open(file, framework="numpy") as tensors:
        names = tensors.keys()
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)


def _summary(thing: Callable) -> str:
    """The first line of what the file of a function or class says."""
    line = (sys.modules[thing.__module__].__doc__ or "").partition("\n")[0]
    return line.partition(": ")[2].rstrip(".") or line.rstrip(".")
