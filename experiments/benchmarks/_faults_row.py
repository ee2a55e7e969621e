"""A row of the benchmark of faults."""

from typing import NamedTuple


class Row(NamedTuple):
    """What was done, how often all went well, of how many times, and what else there is to say."""

    fault: str
    well: int
    tried: int
    remarks: str = ""
