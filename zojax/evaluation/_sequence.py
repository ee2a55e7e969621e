"""One perturbed leaf at a time.

A draw waits for the data that its leaf meets. Where several leaves meet the same data (the gate and
the query, key and value of a layer, the experts of a mixture), all of them could be perturbed at
once, and XLA would hold all their copies. So a draw for data that other leaves have met also waits
for the result of the contraction before it in the program. (Data that is new comes from that result
in most losses; another reader of it would only keep it longer.)

`python -m tests.wild` retires this: when a step on `nano-moe-jax` takes no more memory without it.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

from zojax._schedule import true_after


class _Sequence:
    """What leaves have met so far, and what the last contraction gave."""

    def __init__(self) -> None:
        self.met: dict[int, jax.Array] = {}  # by identity; held, so that none is given away again
        self.last: jax.Array | None = None


_SEQUENCE: contextvars.ContextVar[_Sequence | None] = contextvars.ContextVar("seq", default=None)


@contextlib.contextmanager
def own_sequence() -> Iterator[None]:
    """What is traced in this context begins anew: in the body of a loop there is nothing before."""
    token = _SEQUENCE.set(_Sequence())
    try:
        yield
    finally:
        _SEQUENCE.reset(token)


def in_sequence(datum: jax.Array) -> jax.Array:
    """A datum that is known when this one is, and, if leaves have met it, the last result."""
    sequence = _SEQUENCE.get()
    if sequence is None:
        return datum
    again = id(datum) in sequence.met
    sequence.met[id(datum)] = datum
    if not again or sequence.last is None:
        return datum
    return true_after(datum) & true_after(sequence.last)


def is_result(result: jax.Array) -> None:
    """Says that leaves from here on wait for this result of a contraction."""
    sequence = _SEQUENCE.get()
    if sequence is not None and result.size:
        sequence.last = result
