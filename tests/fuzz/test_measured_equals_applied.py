"""The z that a loss was measured along and the z that an update applies have the same bits.

Through the whole `update` of every method, for every point of a step; see `witness` for how a loss
sees them, and `methods` for how an update shows them. Where z is a sum of several products of
float32 numbers (factored directions of a higher rank) the order of that sum is the compiler's, and
bits are not promised: those are compared with the plain loss alone.
"""

import pytest

from tests.fuzz.examples import example
from tests.fuzz.measured import wrong
from tests.fuzz.methods import METHODS, runs
from tests.fuzz.reports import report

# Their directions are drawn and added up as those of other methods here.
LIKE_OTHERS = {
    *("eggroll", "meazo", "mezo_svrg", "mezo_svrg recalled", "sparse_mezo", "spsa", "tezo"),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LIKE_OTHERS else ()) for name in METHODS],
)
def test_what_is_applied_is_what_was_measured(name):
    """Another law, tree, step and way of looking for each; the command goes through many."""
    run = example(runs((name,)), list(METHODS).index(name))._replace(quickly=True)
    found = wrong(run)
    assert not found, report([(run, found[0])])
