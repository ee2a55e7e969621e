"""Losses made at random: what `evaluate` gives is the plain loss at params + radius z.

`python -m tests.fuzz --cases 3000` goes through more of the same.
"""

import pytest

from tests.fuzz.cases import cases
from tests.fuzz.comparing import faults
from tests.fuzz.examples import example
from tests.fuzz.reports import report
from tests.fuzz.shrinking import smaller


@pytest.mark.parametrize("number", range(20))
def test_lazy_evaluation_is_the_plain_loss(number):
    """To rounding, with its dtypes; z is checked against NumPy where the law is that simple."""
    found = faults(example(cases(), number))
    assert not found, report([smaller(fault) for fault in found[:1]])
