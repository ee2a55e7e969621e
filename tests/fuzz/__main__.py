"""More cases than a test run has time for: `python -m tests.fuzz --cases 3000`."""

import argparse
import sys
import time
import warnings

from tests.fuzz import codes
from tests.fuzz.cases import Fault, cases, faults
from tests.fuzz.examples import example
from tests.fuzz.reports import report
from tests.fuzz.shrinking import smaller


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=3000, help="losses to evaluate")
    parser.add_argument("--seed", type=int, default=0, help="other cases for every seed")
    parser.add_argument("--case", help="the code of one case, as a report has it")
    parser.add_argument(
        "--without", default="", help="operations to leave out, with commas between"
    )
    parser.add_argument(
        "--no-shrink", action="store_true", help="report cases as they are, not made smaller"
    )
    return parser.parse_args()


def main() -> int:
    """Returns the exit code: 1 if anything is wrong."""
    arguments = _arguments()
    warnings.simplefilter("error")
    if arguments.case:
        found = faults(codes.read(arguments.case))
        print(report(found) or "nothing is wrong")
        return int(bool(found))
    found = _run(arguments)
    return int(bool(found))


def _run(arguments: argparse.Namespace) -> list[Fault]:
    """Goes through cases until there were as many losses as asked for."""
    strategy = cases(frozenset(arguments.without.split(",")))
    found: list[Fault] = []
    done = number = 0
    start = time.process_time()
    while done < arguments.cases:
        case = example(strategy, 1_000_000 * (arguments.seed + 1) + number)
        number += 1
        for fault in faults(case):
            found.append(fault if arguments.no_shrink else smaller(fault))
            print(report(found[-1:]), flush=True)
        done += len(case.losses)
        if number % 10 == 0:
            seconds = time.process_time() - start
            print(f"{done} losses in {number} settings, {len(found)} wrong, {seconds:.0f} s of CPU")
    print(f"\n{done} losses in {number} settings: {len(found)} wrong")
    return found


if __name__ == "__main__":
    sys.exit(main())
