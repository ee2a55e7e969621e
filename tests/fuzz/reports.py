"""What is told about faults."""

import shlex
from collections.abc import Iterable
from typing import Any


def report(faults: Iterable[tuple[Any, str]]) -> str:
    """Each fault with the command that makes its case, or its run of a method, again."""
    return "\n".join(
        f"\n{what}\nagain: python -m tests.fuzz --case {shlex.quote(repr(case))}"
        for case, what in faults
    )
