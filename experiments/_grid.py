"""A grid of settings: what is said of them on the command line, and the cells it consists of."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from experiments._config_file import with_config
from experiments._settings import Settings

# What a sweep says itself, and cells must not.
_OF_THE_SWEEP = ("out", "resume")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
      values: what the grid says of it, by setting, as it was written.
      settings: all of them.
    """

    values: dict[str, str]
    settings: Settings

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.settings.out.name


def axes_of(texts: Sequence[str]) -> dict[str, list[str]]:
    """The values of each setting in texts such as "learning_rate=1e-4,3e-4".

    Raises:
      ValueError: for a text of another form, a name that is no setting or comes twice, or a value
        that comes twice.
    """
    known = [field.name for field in dataclasses.fields(Settings)]
    axes: dict[str, list[str]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        name, values = name.replace("-", "_"), listed.split(",")
        if not equals or not all(values):
            raise ValueError(f"grid {text!r} must have the form NAME=VALUE,VALUE")
        if name not in known or name in _OF_THE_SWEEP:
            raise ValueError(
                f"grid {text!r}: {name} is no setting of a cell; "
                "python -m experiments.finetune --help lists them"
            )
        if name in axes:
            raise ValueError(f"grid names {name} twice; write all of its values behind one =")
        if len(set(values)) < len(values):
            raise ValueError(f"grid {text!r} has a value twice")
        axes[name] = values
    return axes


def cells(texts: Sequence[str], flags: Sequence[str], out: Path) -> list[Cell]:
    """All combinations of the grid's values, each over the flags, which are those of finetune.

    Each cell is read as a command line of its own, so a method in the grid brings its own radius,
    queries and learning rate wherever neither flags nor grid name them.

    Raises:
      ValueError: for a grid or settings that cannot be used.
    """
    axes = axes_of(texts)
    found = []
    for values in itertools.product(*axes.values()):
        of_cell = dict(zip(axes, values, strict=True))
        name = ",".join(f"{setting}={value}" for setting, value in of_cell.items()) or "run"
        folder = out / name.replace("/", "_")
        said = [f"--{setting.replace('_', '-')}={value}" for setting, value in of_cell.items()]
        settings = _parsed([*with_config(flags), *said, f"--out={folder}"])
        if (folder / "settings.yaml").exists():
            settings = dataclasses.replace(settings, resume=True)
        found.append(Cell(of_cell, settings))
    return found


def _parsed(args: list[str]) -> Settings:
    return tyro.cli(Annotated[Settings, tyro.conf.OmitArgPrefixes], args=args)
