"""What the runs came to, for the tables, the claims and the figure."""

import math

from experiments._results import Results, Row
from experiments.papers.names import BASELINE


class Found:
    """The rows of results/papers.jsonl.

    Args:
      results: all rows that are kept.
    """

    def __init__(self, results: Results):
        self.rows = results.rows("papers")
        self._by_name = {(row["paper"], row["problem"], row["arm"]): row for row in self.rows}
        self.elsewhere = results

    def row(self, paper: str, problem: str, arm: str) -> Row:
        """That of one arm."""
        return self._by_name[paper, problem, arm]

    def of(self, paper: str) -> list[Row]:
        """All of one paper, in the order of the runs."""
        return [row for row in self.rows if row["paper"] == paper]

    def share(self, row: Row) -> float:
        """Evaluations to MeZO's final loss, over those of MeZO's runs; inf if not reached."""
        needed = row["evaluations to MeZO's loss"]
        whole = self.row(row["paper"], row["problem"], BASELINE)["evaluations"]
        return math.inf if needed is None else needed / whole


def loss(row: Row) -> float:
    """Inf if a run diverged."""
    return math.inf if row["loss"] is None else row["loss"]


def less(one: Row, other: Row) -> bool:
    """Whether a mean loss is the lower one by more than two standard errors of the difference."""
    if math.inf in (loss(one), loss(other)):
        return loss(one) < loss(other)
    squares = (row["its deviation"] ** 2 / row["seeds"] for row in (one, other))
    return loss(other) - loss(one) > 2 * math.sqrt(sum(squares))


def factor(one: Row, other: Row) -> float:
    """How many times fewer evaluations a mean curve takes to the other's final mean loss.

    Below 1 if it ends above that: as many times more the other takes to the end of this one.
    """
    spent = _first(one, loss(other))
    if spent is not None:
        return other["evaluations"] / spent
    back = _first(other, loss(one))
    return back / one["evaluations"] if back else 0.0


def _first(row: Row, target: float) -> int | None:
    return next((spent for spent, found in row["curve"] if found <= target), None)
