"""Inputs that have to be refused: those of the tests' table, one after another."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.benchmarks._faults_row import Row
from tests.bad_inputs.case import BadInput, fault
from tests.bad_inputs.table import TABLE


def bad_inputs(most: int) -> Iterator[Row]:
    """A row for each kind of input, of at most so many of them."""
    for kind, cases in TABLE.items() if most else ():
        tried = cases[:most]
        found = [f"{case.name}: {wrong}" for case in tried if (wrong := _fault(case))]
        yield Row(f"bad input: {kind}", len(tried) - len(found), len(tried), "; ".join(found))


def _fault(case: BadInput) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        return fault(case, Path(folder))
