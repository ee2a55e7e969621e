"""One perturbed leaf at a time.

A draw waits for the data that its leaf meets. Where several leaves meet the same data (the gate and
the query, key and value of a layer, the experts of a mixture), all of them could be perturbed at
once, and XLA would hold all their copies. So a draw also waits for the result of the contraction
before it in the program.

`python -m tests.wild` retires this: when a step on `nano-moe-jax` takes no more memory without it.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

from zojax._schedule import true_after

_LAST: contextvars.ContextVar[jax.Array | None] = contextvars.ContextVar("last", default=None)


@contextlib.contextmanager
def own_sequence() -> Iterator[None]:
    """What is traced in this context begins anew: in the body of a loop there is nothing before."""
    token = _LAST.set(None)
    try:
        yield
    finally:
        _LAST.reset(token)


def in_sequence(datum: jax.Array) -> jax.Array:
    """A datum that is known when this one is, and the result before it."""
    last = _LAST.get()
    return datum if last is None else true_after(datum) & true_after(last)


def is_result(result: jax.Array) -> None:
    """Says that leaves from here on wait for this result of a contraction."""
    if result.size:
        _LAST.set(result)
