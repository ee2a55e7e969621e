"""Types and ranges of settings: stated in the annotations of a dataclass, checked in one place.

What a file says may be anything that JSON can hold. A field `layers: Size | None = None` takes an
integer of at least 1, or null, and everything else is refused with a sentence that names the field,
what it may be, and what it is.
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, Union


class AtLeast(NamedTuple):
    """The least number that a field may be, beside its type in an `Annotated`."""

    least: float


Size = Annotated[int, AtLeast(1)]
# The number of layers: there are tensors of each in a file, so a file says how many there can be.
Depth = Annotated[int, AtLeast(1), "layers"]
NotNegative = Annotated[float, AtLeast(0)]

_LONGEST = 80
_WORDS = {
    int: "an integer",
    float: "a finite number",
    bool: "true or false",
    str: "a string",
    types.NoneType: "null",
}


def check(settings: Any) -> None:
    """Checks all fields of a dataclass; a boolean is no integer, and an integer is a float.

    Raises:
      ValueError: for the first that is not what its annotation says, and for integers that do not
        fit 32 bits, as sizes and ids have to.
    """
    for name, kind in _kinds(type(settings)).items():
        value = getattr(settings, name)
        if not _fits(value, kind):
            raise ValueError(f"{name} must be {_in_words(kind)}, not {shown(value)}.")
        if isinstance(value, int) and not -(2**31) <= value < 2**31:
            raise ValueError(f"{name} must fit 32 bits, but is {shown(value)}.")


def depths(settings: Any) -> dict[str, int]:
    """The numbers of layers that a dataclass states, by the names of their fields."""
    return {
        name: getattr(settings, name)
        for name, kind in _kinds(type(settings)).items()
        if kind == Depth
    }


def mapping(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A setting that is an object of settings itself; empty where there is none.

    Raises:
      ValueError: if it is something else.
    """
    value = settings.get(name)
    if not isinstance(value, Mapping | None):
        raise ValueError(f"{name} must be an object or null, not {shown(value)}.")
    return dict(value or {})


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


@functools.cache
def _kinds(of: type) -> dict[str, Any]:
    hints = typing.get_type_hints(of, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(of)}


def _fits(value: Any, kind: Any) -> bool:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Annotated:
        return _fits(value, parts[0]) and value >= parts[1].least
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = parts[:1] * len(value) if parts[-1] is ... else parts
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    if kind is float:
        return (isinstance(value, float) and math.isfinite(value)) or _fits(value, int)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or kind)


def _in_words(kind: Any) -> str:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_in_words, parts))
    if origin is Annotated:
        return f"{_in_words(parts[0])} of at least {parts[1].least}"
    if origin is tuple:
        which = "a list" if parts[-1] is ... else f"a list of {len(parts)}"
        return f"{which}, each {_in_words(parts[0])}"
    return _WORDS.get(kind) or f"a {kind.__name__}"
