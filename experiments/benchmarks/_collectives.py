"""The traffic of a compiled program: bytes of its collectives, read from the optimized HLO.

The bytes of a collective are those of its result on one device. What stands in the body of a loop
counts as often as the loop runs. XLA writes that beside it; the TPU's compiler does not, and there
it is the one number in the loop's condition, if that has one. A collective that runs beside other
work on a TPU is spread over several computations; each has its instruction, and it counts once.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

_COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "reduce-scatter",
    "collective-permute",
    "collective-broadcast",
    "ragged-all-to-all",
)
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (.+?) ([\w\-]+)\(")
_ARRAY = re.compile(r"(pred|[a-z]+\d+\w*)\[([\d,]*)\]")
_CALLED = re.compile(
    r"(?:to_apply|calls|body|condition|(?:true|false)_computation)=(%?[\w.\-]+)"
    r"|branch_computations=\{([^}]*)\}"
)
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CONDITION = re.compile(r" while\(.*condition=%?([\w.\-]+)")
_SPREAD = re.compile(r'custom_call_target="AsyncCollective|^async_collective_fusion', re.MULTILINE)
_CHANNEL = re.compile(r"channel_id=(\d+)")
_NUMBER = re.compile(r"= s32\[\]\S* constant\((\d+)\)")


class Collective(NamedTuple):
    """One collective instruction.

    Attributes:
      kind: such as "all-reduce".
      bytes: of its result on one device.
      times: how often a call of the program runs it.
    """

    kind: str
    bytes: int
    times: int


def collectives(program: Any) -> list[Collective]:
    """The collectives of a compiled program (`jax.jit(f).lower(...).compile()`)."""
    computations, entry = computations_of(program.as_text())
    times: Counter[str] = Counter()
    count_runs(entry, 1, computations, times)
    return [
        Collective(*found, times[name])
        for name, line in _each_once({name: computations[name] for name in times})
        if (found := _collective(line))
    ]


def total_bytes(program: Any) -> int:
    """Bytes of all collectives of one call of a compiled program."""
    return sum(one.bytes * one.times for one in collectives(program))


def computations_of(text: str) -> tuple[dict[str, list[str]], str]:
    """The lines of every computation by name, and the name of the first to run."""
    found: dict[str, list[str]] = {}
    entry, name = "", ""
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            name = head[2]
            found[name] = []
            entry = name if head[1] else entry
        elif name:
            found[name].append(line)
    return found, entry


def count_runs(name: str, runs: int, computations: dict[str, list[str]], times: Counter) -> None:
    """Adds the runs of a computation to it, and to all that it calls."""
    times[name] += runs
    for line in computations[name]:
        inside = runs * _trips(line, computations)
        for one, branches in _CALLED.findall(line):
            for callee in (one or branches).split(","):
                count_runs(callee.strip().lstrip("%"), inside, computations, times)


def _each_once(computations: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Lines with the names of their computations; of those with a spread channel, the first."""
    spread: set[str] = set()
    for name, lines in computations.items():
        is_spread = _SPREAD.search("\n".join((name, *lines)))
        for line in lines:
            if is_spread and (channel := _CHANNEL.search(line)):
                if channel[1] in spread:
                    continue
                spread.add(channel[1])
            yield name, line


def _trips(line: str, computations: dict[str, list[str]]) -> int:
    """How often what an instruction calls is run."""
    if known := _TRIPS.search(line):
        return int(known[1])
    if not (loop := _CONDITION.search(line)):
        return 1
    numbers = _NUMBER.findall("\n".join(computations[loop[1]]))
    return int(numbers[0]) if len(numbers) == 1 else 1


def _collective(line: str) -> tuple[str, int] | None:
    """The kind and the bytes of an instruction, if it is a collective."""
    instruction = _INSTRUCTION.match(line)
    if not instruction:
        return None
    kind = instruction[2].removesuffix("-start")
    if kind not in _COLLECTIVES:
        return None
    return kind, sum(bytes_of(*array) for array in _ARRAY.findall(instruction[1]))


def bytes_of(dtype: str, dims: str) -> int:
    """Of an array, as HLO writes its shape."""
    bits = 8 if dtype == "pred" else int(re.search(r"\d+", dtype)[0])
    size = 1
    for dim in filter(None, dims.split(",")):
        size *= int(dim)
    return size * bits // 8
