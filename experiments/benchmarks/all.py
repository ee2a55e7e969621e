"""All benchmarks, one after another, and what they were to show.

    python -m experiments.benchmarks.all               about 55 minutes on 2 cores

Each runs in a process of its own, with nothing beside it, and writes results/NAME.jsonl. Then every
aim is printed with the figure that was measured. Needs torch, transformers and evosax for `peers`.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from experiments.benchmarks._report import RESULTS

BENCHMARKS = ("memory", "compile", "speed", "tokens", "queries", "methods", "bcd", "peers")
LISTS, SCANNED = ("plain list", "NNX list"), "scanned OPT"
FACTORED, DENSE = ("factored rank 1", "factored rank 4"), ("packed signs", "gaussian")
SUBSPACES = (
    *("zo_muon", "zo_muon, rank 16"),
    *("mezo, bases of rank 48", "mezo, bases of rank 12"),
    "loren",
)
KEEPS_NOTHING = ("mezo", "mezo_bcd", "zoar, plain descent", "ar1_zo")

Row = dict[str, Any]


class Aim(NamedTuple):
    """What is wanted of a figure, at most or at least so much, and the best that could be."""

    what: str
    figure: float
    at_most: float | None = None
    at_least: float | None = None
    bound: float | None = None

    @property
    def holds(self) -> bool:
        below = self.at_most is None or self.figure <= self.at_most
        return below and (self.at_least is None or self.figure >= self.at_least)


def main() -> None:
    for name in BENCHMARKS:
        subprocess.run([sys.executable, "-m", f"experiments.benchmarks.{name}"], check=True)
        print(flush=True)
    print("| aim | measured | bound | wanted | |")
    print("|---|---|---|---|---|")
    for aim in aims(_read):
        bound = "" if aim.bound is None else f"{aim.bound:.3f}"
        sign = "≤" if aim.at_least is None else "≥"
        wanted = aim.at_most if aim.at_least is None else aim.at_least
        result = "holds" if aim.holds else "MISSED"
        print(f"| {aim.what} | {aim.figure:.3f} | {bound} | {sign} {wanted:g} | {result} |")


def aims(read: Callable[[str], list[Row]]) -> Iterator[Aim]:
    """All aims, given the rows of each benchmark by name."""
    yield from _of_speed(read("speed"), read("tokens"))
    yield from _of_memory(read("memory"))
    yield from _of_compilation(read("compile"))
    yield from _of_methods(read("methods"), read("queries"), read("bcd"))
    yield from _of_peers(read("peers"))


def _read(name: str) -> list[Row]:
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


def _one(rows: list[Row], **wanted: Any) -> Row:
    """The row with these entries; `_` in a name stands for a space."""
    wanted = {name.replace("_", " "): value for name, value in wanted.items()}
    (row,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return row


def _of_speed(speed: list[Row], tokens: list[Row]) -> Iterator[Aim]:
    most = {**dict.fromkeys(FACTORED, 1.08), "packed signs": 1.15, "gaussian": 1.5}
    for form in (*LISTS, SCANNED):
        for law, limit in most.items():
            row = _one(speed, form=form, program=law)
            figure, bound = row["step / two forwards"], row["bound"]
            yield Aim(f"step / two forwards: {law}, {form}", figure, at_most=limit, bound=bound)
    row = _one(tokens, tokens=2048, law="packed signs")
    figure, bound = row["step / two forwards"], row["bound"]
    yield Aim("the same: packed signs, 2048 tokens", figure, at_most=1.08, bound=bound)


def _of_memory(memory: list[Row]) -> Iterator[Aim]:
    for form in (*LISTS, SCANNED):
        for law in (*FACTORED, *DENSE):
            figure = _one(memory, form=form, program=law)["peak / inference"]
            limit = 1.02 if law in FACTORED else 1.04
            yield Aim(f"peak / inference: {law}, {form}", figure, at_most=limit)


def _of_compilation(rows: list[Row]) -> Iterator[Aim]:
    for law in (*FACTORED, *DENSE):
        seconds = {
            (row["form"], row["layers"]): row["compile s"] for row in rows if row["law"] == law
        }
        (of_list,) = [value for (form, _), value in seconds.items() if form != SCANNED]
        shallow, deep = (value for (form, _), value in sorted(seconds.items()) if form == SCANNED)
        yield Aim(f"compile s: {law}, list of 24 layers", of_list, at_most=15)
        yield Aim(f"compile s: {law}, 24 layers scanned", shallow, at_most=5)
        yield Aim(f"compile, 96 layers / 24: {law}, scanned", deep / shallow, at_most=1.15)


def _of_methods(methods: list[Row], queries: list[Row], bcd: list[Row]) -> Iterator[Aim]:
    for chunk, which in ("one at a time", {"chunk size": 1}), ("chunk chosen", {"chosen": "auto"}):
        figure = _one(queries, queries=32, **which)["throughput"]
        yield Aim(f"throughput of 32 factored queries, {chunk}", figure, at_least=0.9)
    for form in LISTS[0], SCANNED:
        row = _one(bcd, form=form, law="gaussian")
        figure, bound = row["MeZO / MeZO-BCD"], row["bound"]
        yield Aim(f"MeZO / MeZO-BCD, 64 tokens, {form}", figure, at_least=2.77, bound=bound)
    for method in SUBSPACES:
        row = _one(methods, method=method)
        figure, bound = row["step / plain"], row["bound"]
        yield Aim(f"step / its forwards: {method}", figure, at_most=1.15, bound=bound)
    for method in KEEPS_NOTHING:
        figure = _one(methods, method=method)["state / weights"]
        yield Aim(f"state / weights: {method}", figure, at_most=0.001)
    loren, adam = (
        _one(methods, method=name)["peak / inference"] for name in ("loren", "mezo_adam")
    )
    yield Aim("peak: LOREN / MeZO-Adam", loren / adam, at_most=0.727)


def _of_peers(peers: list[Row]) -> Iterator[Aim]:
    def of(program: str) -> Row:
        return _one(peers, program=program)

    naive, torch = of("JAX, two perturbed copies"), of("PyTorch, MeZO in place")
    for law in ("factored rank 1", *DENSE):
        ours = of(f"zojax, {law}")
        for peer, of_peer, wanted in (("PyTorch in place", torch, 2.5), ("naive JAX", naive, 2)):
            ratio, bound = (of_peer["ms"] / ours[column] for column in ("ms", "least ms"))
            yield Aim(f"{peer} / zojax, {law}", ratio, at_least=wanted, bound=bound)
    peak = of("zojax, gaussian")["peak / inference"] / naive["peak / inference"]
    yield Aim("peak: zojax / naive JAX", peak, at_most=0.4)


if __name__ == "__main__":
    main()
