"""Settings as a YAML file: what a run writes beside its results, and what `--config` reads.

A file is turned into the flags that it stands for, which go before those of the command line: each
value is read by the type of its setting, and what is said on the command line comes last and wins.
"""

import dataclasses
import difflib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
import yaml

from experiments._settings import Settings

# Where a run lies, and not what it is: a file can be used again for a run of its own.
_OF_THE_PLACE = ("out", "resume")
_NOTHING = ("", "~", "null", "None")


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """Settings that come from a file."""

    config: Path | None = None
    """YAML file with settings by name, such as the settings.yaml of another run; flags beside it
    win over it."""


def to_yaml(settings: Settings) -> str:
    """All settings but the folder; two runs with the same text are the same run."""
    return yaml.safe_dump(by_name(settings), sort_keys=False, allow_unicode=True)


def by_name(settings: Settings) -> dict[str, Any]:
    """All settings but the folder, in what JSON and YAML have words for."""
    values = dataclasses.asdict(settings)
    return {name: _plain(value) for name, value in values.items() if name not in _OF_THE_PLACE}


def with_config(args: Sequence[str]) -> list[str]:
    """The arguments of a command, with the flags that a `--config` among them stands for.

    Raises:
      ValueError: for a file that cannot be read, or names something that is no setting.
    """
    found, _ = tyro.cli(
        Annotated[ConfigFile, tyro.conf.OmitArgPrefixes],
        args=list(args),
        return_unknown_args=True,
        add_help=False,
    )
    return list(args) if found.config is None else [*_flags(found.config), *args]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _flags(path: Path) -> list[str]:
    kinds = {field.name: field.type for field in dataclasses.fields(Settings)}
    flags = []
    for name, value in _read(path).items():
        setting = name.replace("-", "_")
        if setting not in kinds:
            close = difflib.get_close_matches(setting, kinds, n=1)
            meant = f"did you mean {close[0]}?" if close else "--help lists all settings"
            raise ValueError(f"config {path}: {name!r} is no setting; {meant}")
        flags += _flag(f"config {path}: {name}", setting.replace("_", "-"), value, kinds[setting])
    return flags


def _flag(where: str, name: str, value: Any, kind: Any) -> list[str]:
    if isinstance(value, Mapping) or (
        isinstance(value, list) and not all(isinstance(part, str) for part in value)
    ):
        raise ValueError(f"{where} must be one value, or a list of them; got {value!r}")
    if isinstance(value, list):
        return [f"--{name}", *value]
    if value in _NOTHING:  # as if it had not been said
        return []
    if kind is bool or bool in typing.get_args(kind):
        return _switch(where, name, value)
    return [f"--{name}={value}"]


def _switch(where: str, name: str, value: str) -> list[str]:
    if value.lower() not in ("true", "false"):
        raise ValueError(f"{where} must be true or false; got {value!r}")
    return [f"--{name}" if value.lower() == "true" else f"--no-{name}"]


def _read(path: Path) -> dict[str, Any]:
    """Texts alone: YAML itself would read 1e-4 as a text and `no` as false."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise ValueError(f"config {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"config {path} is not YAML: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"config {path} must hold settings by name, such as 'steps: 600'")
    return found
