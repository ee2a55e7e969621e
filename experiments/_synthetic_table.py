"""What the synthetic experiment is compared with, and the table that does it."""

import math
from typing import Any

from experiments._functions import FUNCTIONS

# ln of the mean loss after 20 000 steps in 10 000 dimensions. Columns: Vanilla, ZoAR without
# history, ZoAR. Read off the plots of ZoAR's authors (five seeds), to ±0.05 and on Ackley ±0.005;
# None where no plot was at hand.
PUBLISHED: dict[tuple[str, str], tuple[float | None, ...]] = {
    ("Quadratic", "ZO-AdaMM"): (8.05, 6.75, 2.4),
    ("Levy", "ZO-AdaMM"): (7.97, 6.7, 6.3),
    ("Rosenbrock", "ZO-AdaMM"): (14.25, 12.35, 9.75),
    ("Ackley", "ZO-AdaMM"): (1.563, 1.258, 1.272),
    ("Quadratic", "R-AdaZO"): (7.27, 3.4, None),
    ("Levy", "R-AdaZO"): (7.2, 5.95, None),
    ("Rosenbrock", "R-AdaZO"): (13.35, 9.75, None),
    ("Ackley", "R-AdaZO"): (1.588, 1.295, None),
}

# The same from an implementation in plain numpy, float32, with other directions and three seeds.
NUMPY: dict[tuple[str, str], tuple[float, ...]] = {
    ("Quadratic", "ZO-AdaMM"): (8.083, 6.821, 2.420),
    ("Levy", "ZO-AdaMM"): (8.016, 6.748, 6.354),
    ("Rosenbrock", "ZO-AdaMM"): (14.294, 12.418, 9.764),
    ("Ackley", "ZO-AdaMM"): (1.570, 1.264, 1.283),
    ("Quadratic", "R-AdaZO"): (7.265, 3.416, 3.510),
    ("Levy", "R-AdaZO"): (7.225, 5.998, 5.886),
    ("Rosenbrock", "R-AdaZO"): (13.360, 9.741, 9.763),
    ("Ackley", "R-AdaZO"): (1.588, 1.301, 1.293),
}

ESTIMATORS = ("Vanilla", "ZoAR-0", "ZoAR")
RULES = ("ZO-AdaMM", "R-AdaZO")

_COLUMNS = ("function", "rule", "estimator", "start", "ln f")
_COMPARED = ("published", "Δ", "numpy", "Δ", "within")


def tolerance(function: str) -> float:
    """How far from the published value the result may be; Ackley hardly moves."""
    return 0.02 if function == "Ackley" else 0.10


def mean_logs(record: dict[str, Any]) -> list[float]:
    """Ln of the mean over seeds, at every recorded step."""
    means = [sum(values) / len(values) for values in zip(*record["values"], strict=True)]
    return [math.log(mean) if mean > 0 else math.nan for mean in means]


def compare(record: dict[str, Any]) -> dict[str, Any]:
    """The end of a run beside what it should be; None for what is not known.

    The published value decides whether it is within the tolerance; where there is none, the one
    of the implementation in numpy.
    """
    place = record["function"], record["rule"]
    column = ESTIMATORS.index(record["estimator"])
    published, numpy = PUBLISHED[place][column], NUMPY[place][column]
    end = mean_logs(record)[-1]
    reference = numpy if published is None else published
    return {
        "published": published,
        "published_difference": None if published is None else end - published,
        "numpy": numpy,
        "numpy_difference": end - numpy,
        "within": abs(end - reference) <= tolerance(record["function"]),
    }


def table(records: list[dict[str, Any]], *, compared: bool) -> str:
    """A Markdown table of the runs, with the published values if they may be compared."""
    columns = _COLUMNS + (_COMPARED if compared else ())
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for record in sorted(records, key=_order):
        logs = mean_logs(record)
        cells = [record["function"], record["rule"], record["estimator"]]
        cells += [f"{logs[0]:.3f}", f"{logs[-1]:.3f}"]
        if compared:
            beside = compare(record)
            cells += [_shown(beside["published"], ""), _shown(beside["published_difference"], "+")]
            cells += [_shown(beside["numpy"], ""), _shown(beside["numpy_difference"], "+")]
            cells.append("yes" if beside["within"] else "no")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _order(record: dict[str, Any]) -> tuple[int, int, int]:
    return (
        list(FUNCTIONS).index(record["function"]),
        RULES.index(record["rule"]),
        ESTIMATORS.index(record["estimator"]),
    )


def _shown(value: float | None, sign: str) -> str:
    return "" if value is None else format(value, f"{sign}.3f")
