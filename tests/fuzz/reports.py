"""What is told about faults."""

from collections.abc import Sequence

from tests.fuzz.cases import Fault


def report(faults: Sequence[Fault]) -> str:
    """Each fault with code that makes its case again."""
    return "\n".join(
        f"\n{fault.what}\nagain: python -m tests.fuzz --case {str(fault.case)!r}"
        for fault in faults
    )
