"""More cases than a test run has time for: `python -m tests.fuzz --cases 3000`.

A case is a loss in a setting. Settings whose number divides by 25 also have a run of a method, of
which measured and applied directions are compared.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

from tests.fuzz import codes
from tests.fuzz.cases import Case, cases
from tests.fuzz.comparing import faults
from tests.fuzz.examples import example
from tests.fuzz.losses import OPERATIONS
from tests.fuzz.measured import wrong
from tests.fuzz.methods import runs
from tests.fuzz.reports import report
from tests.fuzz.shrinking import smaller

_SETTINGS_A_RUN = 25
_SETTINGS_A_LINE = 10


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=3000, help="how many losses")
    parser.add_argument("--seed", type=int, default=0, help="other cases for every seed")
    parser.add_argument("--case", help="the code of one case, as a report has it")
    names = [operation.__name__ for operation in OPERATIONS]
    parser.add_argument(
        "--without", nargs="*", default=[], choices=names, metavar="OPERATION", help="leave it out"
    )
    parser.add_argument("--no-shrink", action="store_true", help="report cases as they are")
    return parser.parse_args()


def main() -> int:
    """Returns the exit code: 1 if anything is wrong."""
    arguments = _arguments()
    warnings.simplefilter("error")
    if arguments.case:
        found = _wrong(codes.read(arguments.case), shrink=False)
        print(report(found) or "nothing is wrong")
        return int(bool(found))
    return int(_run(arguments) > 0)


def _run(arguments: argparse.Namespace) -> int:
    """Goes through cases until there were as many losses as asked for; how many are wrong."""
    start, found, losses, settings = time.process_time(), 0, 0, 0
    for case in _cases(arguments):
        new = _wrong(case, shrink=not arguments.no_shrink)
        found += len(new)
        if new:
            print(report(new), flush=True)
        if isinstance(case, Case):
            losses, settings = losses + len(case.losses), settings + 1
            if settings % _SETTINGS_A_LINE == 0 or losses >= arguments.cases:
                seconds = time.process_time() - start
                print(
                    f"{losses} losses in {settings} settings, {found} wrong, {seconds:.0f} s",
                    flush=True,
                )
        if losses >= arguments.cases:
            break
    return found


def _cases(arguments: argparse.Namespace) -> Iterator[Any]:
    """Cases, and now and then a run of a method."""
    strategy = cases(frozenset(arguments.without))
    number = 1_000_000 * (arguments.seed + 1)
    while True:
        yield example(strategy, number)
        number += 1
        if number % _SETTINGS_A_RUN == 0:
            yield example(runs(), number)


def _wrong(case: Any, *, shrink: bool) -> list[tuple[Any, str]]:
    """What is wrong with a case or a run, each with the smallest case that shows it."""
    if not isinstance(case, Case):
        return [(case, what) for what in wrong(case)[:1]]
    found = faults(case)
    return [tuple(smaller(fault) if shrink else fault) for fault in found]


if __name__ == "__main__":
    sys.exit(main())
