"""How many directions are evaluated side by side: as many as a budget of memory allows."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from zojax import _checks
from zojax.training._measure import peak_bytes

# Of the memory that a device offers; the rest is for what the compiler does not count (work space
# of libraries, gaps between buffers).
_SHARE_OF_DEVICE = 0.9
# Of the peak of one direction at a time, where a device does not say what it offers. A CPU is full
# with one batch of many tokens, and slower with several side by side: chunks of 8 had 0.83 of the
# throughput of plain forwards, those of 4 and 1 had 0.95 and 1.02 (512 tokens, width 512). Of few
# tokens, which had better share the weights, activations are small: they cost next to no memory.
_SHARE_OF_ONE = 1.05


class ChunkChoice(NamedTuple):
    """A choice of `chunk_size`, and what it was chosen from.

    Attributes:
      chunk_size: the choice.
      num_queries: the most that would have been of use.
      peak_bytes: what a step needs with it.
      budget_bytes: what it may need.
      tried: (chunk size, peak bytes) of the programs that were compiled, by size.
    """

    chunk_size: int
    num_queries: int
    peak_bytes: int
    budget_bytes: int
    tried: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        one = dict(self.tried)[1]
        tried = ", ".join(f"{size}: {_megabytes(peak)}" for size, peak in self.tried)
        return (
            f"chunk_size {self.chunk_size} of {self.num_queries}: peak "
            f"{_megabytes(self.peak_bytes)}, {self.peak_bytes / one:.2f} x that of 1; budget "
            f"{_megabytes(self.budget_bytes)}; tried {tried}"
        )


def choose_chunk_size(
    program_for: Callable[[int], jax.stages.Lowered | jax.stages.Compiled],
    num_queries: int,
    budget_bytes: int | None = None,
) -> ChunkChoice:
    """Returns the largest chunk size whose step fits into a budget of memory.

    Candidates are the divisors of `num_queries`: a last chunk that is not full is a second program
    beside the loop over the others, with memory of its own (5 queries in chunks of 3 and 2 need as
    much as all 5 at once). Among them a larger chunk needs more memory, so they are bisected: of n
    candidates about 1 + log2 n are compiled, and none is run. Should the compiler's peaks not grow
    with the size, the choice still fits, but a larger one might.

    Args:
      program_for: chunk size -> the step with it, `jax.jit(step).lower(...)` of shapes or arrays,
        compiled or not. The shapes have to be the largest of the run, say of the longest batch.
      num_queries: directions of a step, at least 1.
      budget_bytes: of a device, for weights, optimizer state, batch and temporaries as
        `peak_bytes` counts them. None: 90 % of the memory that jax has on the first local device,
        or, where the backend does not tell (CPU), 1.05 times what the step needs with chunks of 1,
        which is about the memory of inference.

    Raises:
      ValueError: for numbers out of range; if chunks of 1 do not fit.
    """
    _checks.at_least(1, num_queries=num_queries)
    peaks: dict[int, int] = {}

    def peak(size: int) -> int:
        if size not in peaks:
            program = program_for(size)
            compiled = program.compile() if isinstance(program, jax.stages.Lowered) else program
            peaks[size] = peak_bytes(compiled)
        return peaks[size]

    budget = _default_budget(peak(1)) if budget_bytes is None else budget_bytes
    if peak(1) > budget:
        raise ValueError(
            f"budget_bytes {budget:,} is too small: with chunk_size=1 a step needs {peak(1):,} "
            "bytes; take a smaller batch, fewer tokens or a larger budget"
        )
    sizes = [size for size in range(1, num_queries + 1) if num_queries % size == 0]
    fits, exceeds = 0, len(sizes)
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        fits, exceeds = (middle, exceeds) if peak(sizes[middle]) <= budget else (fits, middle)
    size = sizes[fits]
    return ChunkChoice(size, num_queries, peak(size), budget, tuple(sorted(peaks.items())))


def _default_budget(one: int) -> int:
    """Of the first local device, or from the peak of one direction at a time."""
    offered = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return int(_SHARE_OF_DEVICE * offered if offered else _SHARE_OF_ONE * one)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
