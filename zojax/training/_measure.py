"""Time and memory of compiled programs."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax


def peak_bytes(compiled: jax.stages.Compiled) -> int:
    """Bytes that a compiled program needs on a device: arguments, results and temporaries.

    Results written into donated arguments count once. For a training step with donated params
    this is weights + temporaries, up to the few bytes of a batch.

    Args:
      compiled: what `jax.jit(f).lower(...).compile()` returns.
    """
    memory = compiled.memory_analysis()
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return memory.argument_size_in_bytes + results + memory.temp_size_in_bytes


def seconds_side_by_side(
    functions: dict[str, Callable[[], Any]], *, repetitions: int = 5, untimed: int = 0
) -> dict[str, list[float]]:
    """Times functions side by side.

    Each round runs every function once and waits for its result, so a machine that slows down
    for a while slows all of them, and rounds are compared fairly. One more round, not counted,
    goes first and compiles.

    Args:
      functions: the functions by name, called without arguments.
      repetitions: how many rounds count; at least 1.
      untimed: calls of a function before each that is timed. Without any, it finds caches and
        memory as another function left them; after one, as in a loop of its own.

    Returns:
      The seconds of each round's call, by name.
    """
    seconds = {name: [] for name in functions}
    for round_ in range(repetitions + 1):
        for name, function in functions.items():
            for _ in range(untimed):
                jax.block_until_ready(function())
            start = time.perf_counter()
            jax.block_until_ready(function())
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def median_seconds(
    functions: dict[str, Callable[[], Any]], *, repetitions: int = 5, untimed: int = 0
) -> dict[str, float]:
    """The median seconds of a call, by name; see `seconds_side_by_side`."""
    seconds = seconds_side_by_side(functions, repetitions=repetitions, untimed=untimed)
    return {name: statistics.median(values) for name, values in seconds.items()}
