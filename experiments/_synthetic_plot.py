"""The plot of the synthetic experiment."""

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments._functions import FUNCTIONS
from experiments._synthetic_table import ESTIMATORS, RULES, compare, mean_logs

_COLORS = dict(zip(ESTIMATORS, ("C7", "C0", "C3"), strict=True))


def plot(records: list[dict[str, Any]], path: Path, *, compared: bool) -> None:
    """Draws ln of the mean loss against steps: a row for each rule, a column for each function.

    Args:
      records: the runs.
      path: of the PNG file.
      compared: whether crosses show the published values.
    """
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(RULES), len(FUNCTIONS), sharex=True)
    for row, rule in zip(panels, RULES, strict=True):
        for panel, function in zip(row, FUNCTIONS, strict=True):
            panel.set_title(f"{function}, {rule}", fontsize=10)
            panel.grid(visible=True, alpha=0.3)
            for record in records:
                if (record["function"], record["rule"]) == (function, rule):
                    _draw(panel, record, compared=compared)
    for panel in panels[-1]:
        panel.set_xlabel("steps")
    for panel in panels[:, 0]:
        panel.set_ylabel("ln f")
    named = {line.get_label(): line for panel in panels.flat for line in panel.get_lines()}
    shown = [named[label] for label in (*ESTIMATORS, "published") if label in named]
    figure.legend(handles=shown, loc="outside lower center", ncols=len(shown))
    figure.savefig(path, dpi=120)


def _draw(panel: Any, record: dict[str, Any], *, compared: bool) -> None:
    estimator = record["estimator"]
    color = _COLORS[estimator]
    panel.plot(record["steps"], mean_logs(record), color=color, label=estimator)
    published = compare(record)["published"] if compared else None
    if published is not None:
        style = {"linestyle": "", "marker": "x", "color": color, "label": "published"}
        panel.plot(record["steps"][-1:], [published], **style)
