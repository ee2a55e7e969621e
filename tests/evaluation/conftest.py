"""What the tests of the evaluation share."""

import pytest

from zojax import _thresholds
from zojax.evaluation import _interpreter
from zojax.evaluation._perturbed import Perturbed
from zojax.recipes import Dense, LowRank


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
    monkeypatch.setattr(_thresholds, "SMALL_LEAVES_SHARE", 0)
    monkeypatch.setattr(_thresholds, "LEAST_SMALL_LEAVES", 0)
    draw_rows, draw_factors = Dense.draw, LowRank.draw
    draw_operands, dense = _interpreter.draw_operands, Perturbed.dense

    def recording_rows(self, shape, datum=None):
        z = draw_rows(self, shape, datum)
        record.entries.append(z.size)
        return z

    def recording_factors(self, shape, datum=None):
        z = draw_factors(self, shape, datum)
        record.entries.append(z.size)
        return z

    def recording_operands(eqn, operands):
        record.fallbacks.append(eqn.primitive.name)
        return draw_operands(eqn, operands)

    def recording_dense(self, datum=None, **how):
        if datum is None:
            record.fallbacks.append("dense")
        return dense(self, datum, **how)

    monkeypatch.setattr(Dense, "draw", recording_rows)
    monkeypatch.setattr(LowRank, "draw", recording_factors)
    monkeypatch.setattr(_interpreter, "draw_operands", recording_operands)
    monkeypatch.setattr(Perturbed, "dense", recording_dense)
    return record
