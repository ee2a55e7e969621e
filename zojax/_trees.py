"""Small trees of arrays with names."""

import dataclasses
from typing import Any, TypeVar

import jax

T = TypeVar("T")


def tree_dataclass(cls: type[T]) -> type[T]:
    """A frozen dataclass that JAX sees as a tree; fields made by `static` are part of its type."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True, eq=False)(cls))


def static(**kwargs: Any) -> Any:
    """A field that is no array: known while a program is traced, and compared by value."""
    return dataclasses.field(metadata={"static": True}, **kwargs)
