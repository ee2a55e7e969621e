"""Settings that are one of several names; tyro asks for these too, a notebook does not."""

import dataclasses
import typing
from typing import Any


def check_names(settings: Any) -> None:
    """Every setting with a Literal for its type has one of the names that this lists.

    A number is looked at elsewhere, where the type allows one as well.
    """
    for field in dataclasses.fields(settings):
        value, names = getattr(settings, field.name), _names(field.type)
        is_number = isinstance(value, int | float) and _allows_numbers(field.type)
        if names and value not in names and not is_number:
            raise ValueError(
                f"{field.name} {value!r} is unknown; choose from "
                f"{', '.join(name for name in names if name)}"
            )


def _names(kind: Any) -> tuple[str | None, ...]:
    """Those of a type such as `Literal["a", "b"] | None`, None among them; () without any."""
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    parts = typing.get_args(kind)
    names = tuple(name for part in parts for name in _names(part))
    return (*names, None) if names and type(None) in parts else names


def _allows_numbers(kind: Any) -> bool:
    return bool({int, float} & set(typing.get_args(kind)))
