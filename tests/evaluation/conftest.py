"""What the tests of the evaluation share."""

import pytest

from zojax.directions import Factors, Rows, _dense
from zojax.evaluation._perturbed import Perturbed


class Drawn:
    """What was drawn while a loss was traced.

    Attributes:
      entries: how many entries of z each draw made.
      fallbacks: the primitives that got a drawn array for want of a rule, and "dense" for an array
        that was drawn before it met any data.
    """

    def __init__(self):
        self.entries = []
        self.fallbacks = []


@pytest.fixture
def drawn(monkeypatch):
    record = Drawn()
    # Small leaves are drawn together, and not where they are used: here none is small.
    monkeypatch.setattr(_dense, "_SHARE", 0)
    monkeypatch.setattr(_dense, "_LEAST", 0)
    draw_rows, draw_factors = Rows.draw, Factors.draw
    default, dense = Perturbed.default, Perturbed.dense

    def recording_rows(self, shape, datum=None):
        z = draw_rows(self, shape, datum)
        record.entries.append(z.size)
        return z

    def recording_factors(self, shape, datum=None):
        z = draw_factors(self, shape, datum)
        record.entries.append(z.size)
        return z

    def recording_default(primitive, values, params):
        record.fallbacks.append(primitive.name)
        return default(primitive, values, params)

    def recording_dense(self, datum=None):
        if datum is None:
            record.fallbacks.append("dense")
        return dense(self, datum)

    monkeypatch.setattr(Rows, "draw", recording_rows)
    monkeypatch.setattr(Factors, "draw", recording_factors)
    monkeypatch.setattr(Perturbed, "default", staticmethod(recording_default))
    monkeypatch.setattr(Perturbed, "dense", recording_dense)
    return record
