"""The tests that take long, by measurement: `-m 'not slow'` leaves them out.

    python -m pytest -q -n 2 --junitxml=report.xml
    python -m tests.slow_tests report.xml

writes slow_tests.txt anew: a line for each test that took more than LONGEST seconds in that run. A
test that always belongs there, however fast the machine, has the mark `slow` itself.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).with_suffix(".txt")
LONGEST = 2.4


def slow_tests() -> set[str]:
    """Ids of the tests in the list."""
    return set(LIST.read_text().splitlines())


def measured(report: str) -> Iterator[tuple[str, float]]:
    """The id and the seconds of every test of a report in JUnit's form, without doctests."""
    for case in ElementTree.parse(report).iter("testcase"):
        module, name = case.attrib["classname"], case.attrib["name"]
        if module.startswith("tests."):
            yield f"{module.replace('.', '/')}.py::{name}", float(case.attrib["time"])


if __name__ == "__main__":
    found = sorted(test for report in sys.argv[1:] for test, s in measured(report) if s > LONGEST)
    LIST.write_text("".join(f"{test}\n" for test in found))
    print(f"{len(found)} tests took more than {LONGEST} s")
