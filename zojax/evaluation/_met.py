"""Who is told, while a loss is traced, what meets its perturbed leaves."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zojax.evaluation._perturbed import Perturbed

Summarize = Callable[[str, tuple[int, ...], tuple[int, ...], jax.Array], jax.Array | None]
"""(path, shape, axes that are summed over, x as (tokens, *axes)) -> a summary, or None."""
Summaries = dict[str, jax.Array]
"""By the path of a leaf; what a loop has found for each layer leads with the layers."""


class _Listener(NamedTuple):
    summarize: Summarize
    found: Summaries


_LISTENER: contextvars.ContextVar[_Listener | None] = contextvars.ContextVar("met", default=None)


@contextlib.contextmanager
def summarizing(summarize: Summarize | None) -> Iterator[Summaries]:
    """In this context summaries are made and kept; with None they are not."""
    listener = None if summarize is None else _Listener(summarize, {})
    token = _LISTENER.set(listener)
    try:
        yield {} if listener is None else listener.found
    finally:
        _LISTENER.reset(token)


def inside_a_loop() -> contextlib.AbstractContextManager[Summaries]:
    """What is met in the body of a loop, by itself: to be returned by it."""
    listener = _LISTENER.get()
    return summarizing(None if listener is None else listener.summarize)


def of_loop(stacked: Summaries, scanned: Sequence[Perturbed]) -> None:
    """Adds what a loop returned: of leaves that it scanned over as it is, of others the sum."""
    paths = {leaf.path for leaf in scanned}
    for path, summaries in stacked.items():
        _add(path, summaries if path in paths else jnp.sum(summaries, 0))


def is_met(
    leaf: Perturbed, x: jax.Array, contract_x: Sequence[int], contract_w: Sequence[int]
) -> None:
    """Says that a leaf is contracted with x, along these axes of both, and no others go along."""
    listener = _LISTENER.get()
    if listener is None:
        return
    order = sorted(range(len(contract_w)), key=lambda place: contract_w[place])
    meeting = [contract_x[place] for place in order]
    kept = [axis for axis in range(x.ndim) if axis not in meeting]
    lengths = [x.shape[axis] for axis in meeting]
    tokens = jnp.transpose(x, (*kept, *meeting)).reshape(-1, *lengths)
    axes = tuple(contract_w[place] for place in order)
    summary = listener.summarize(leaf.path, leaf.base.shape, axes, tokens)
    if summary is not None:
        _add(leaf.path, summary)


def _add(path: str, summary: jax.Array) -> None:
    found = _LISTENER.get().found
    found[path] = found[path] + summary if path in found else summary
