"""Bytes that a compiled program reads from memory and writes to it, from the optimized HLO.

An instruction reads its operands and writes its result, a fusion as a whole; of an array that it
only cuts a part out of, or writes a part into, the part counts. What a TPU holds beside its units
(S(1), 128 MB on a v5e) is no memory here, and a copy to there reads once. XLA's own cost analysis
counts every array wherever it lies, and the body of a loop once: here it counts as often as the
loop runs.
"""

import re
from collections import Counter
from typing import Any, NamedTuple

from experiments.benchmarks._collectives import bytes_of, computations_of, count_runs

_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*?)\)(.*)$")
_ARRAY = re.compile(r"(pred|[a-z]+\d+\w*)\[([\d,]*)\](\{[^}]*\})?")
_NAME = re.compile(r"%([\w.\-]+)")
_CALLS = re.compile(r"calls=%?([\w.\-]+)")
_RENAMES = frozenset({"bitcast", "get-tuple-element", "reshape"})
# What moves nothing by itself, or is counted where it begins.
_FREE = _RENAMES | {
    *("parameter", "constant", "tuple", "while", "conditional", "call", "iota", "after-all"),
    *("opt-barrier", "partition-id", "copy-done", "slice-done", "async-done", "all-gather-done"),
    *("all-reduce-done", "collective-permute-done"),
}


class _Instruction(NamedTuple):
    is_root: bool
    name: str
    bytes: int
    kind: str
    operands: tuple[str, ...]
    fused: str | None
    number: int | None  # of a parameter


def bytes_accessed(program: Any) -> int:
    """Of one call of a compiled program (`jax.jit(f).lower(...).compile()`)."""
    computations, entry = computations_of(program.as_text())
    times: Counter[str] = Counter()
    count_runs(entry, 1, computations, times)
    parsed = {name: _parsed(lines) for name, lines in computations.items()}
    inside = {one.fused for each in parsed.values() for one in each if one.fused}
    return sum(
        runs * sum(_moved(one, parsed[name], parsed) for one in parsed[name])
        for name, runs in times.items()
        if name not in inside
    )


def _parsed(lines: list[str]) -> list[_Instruction]:
    found = []
    for line in lines:
        if not (match := _INSTRUCTION.match(line)):
            continue
        root, name, shape, kind, operands, rest = match.groups()
        fused = _CALLS.search(rest)
        names = tuple(_NAME.findall(operands))
        number = int(operands) if kind == "parameter" else None
        found.append(
            _Instruction(
                bool(root), name, _in_memory(shape, kind), kind, names, fused and fused[1], number
            )
        )
    return found


def _in_memory(shape: str, kind: str) -> int:
    """Bytes of the arrays of a result that lie in memory; where a copy begins, what it moves."""
    arrays = [(bytes_of(*array[:2]), "S(" in array[2]) for array in _ARRAY.findall(shape)]
    if kind == "slice-start":  # source, part, context
        return arrays[1][0] + (0 if arrays[1][1] else arrays[1][0])
    if kind == "copy-start":  # copy, source, context
        arrays = arrays[:2]
    return sum(size for size, is_beside in arrays if not is_beside)


def _moved(
    one: _Instruction, around: list[_Instruction], parsed: dict[str, list[_Instruction]]
) -> int:
    """Bytes that an instruction reads and writes."""
    if one.kind in _FREE:
        return 0
    sizes = {each.name: each.bytes for each in around}
    if one.fused:
        body = parsed[one.fused]
        read = sum(
            _read(place, sizes.get(operand, 0), body, parsed)
            for place, operand in enumerate(one.operands)
        )
        return read + _written(one, body)
    if one.kind in ("copy-start", "slice-start"):
        return one.bytes
    if one.kind in ("dynamic-slice", "gather"):
        return 2 * one.bytes
    if one.kind == "dynamic-update-slice":
        return 2 * sizes.get(one.operands[1], 0)
    return one.bytes + sum(sizes.get(operand, 0) for operand in one.operands)


def _read(
    place: int, whole: int, body: list[_Instruction], parsed: dict[str, list[_Instruction]]
) -> int:
    """Bytes that a fusion reads of its operand at a place, of which it may hand on parts alone."""
    names = {one.name for one in body if one.number == place}
    parts = 0
    for one in body:
        if not names & set(one.operands):
            continue
        if one.kind in _RENAMES:
            names.add(one.name)
        elif one.fused:
            places = [at for at, operand in enumerate(one.operands) if operand in names]
            parts += sum(_read(at, whole, parsed[one.fused], parsed) for at in places)
        elif one.kind in ("dynamic-slice", "gather") and one.operands[0] in names:
            parts += one.bytes
        elif not (one.kind == "dynamic-update-slice" and one.operands[0] in names):
            return whole
    return min(parts, whole)


def _written(fusion: _Instruction, body: list[_Instruction]) -> int:
    """Bytes that a fusion writes; into an array that it updates a part of, that part."""
    by_name = {one.name: one for one in body}
    (root,) = (one for one in body if one.is_root)
    while root.kind in _RENAMES and root.operands[0] in by_name:
        root = by_name[root.operands[0]]
    if root.kind == "dynamic-update-slice":
        return by_name[root.operands[1]].bytes
    return fusion.bytes
