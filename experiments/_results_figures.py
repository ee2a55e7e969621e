"""Results as figures: SVG files, the same bytes for the same rows and version of matplotlib."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from experiments._results import Results, Row
from experiments._synthetic_table import ESTIMATORS, PUBLISHED, mean_logs
from experiments.papers import figure as _papers

# What programs of benchmarks.peers are called in the figure, from the best to the worst.
_PEERS = {
    "zojax, factored rank 1": "zojax, factored directions of rank 1",
    "zojax, packed signs": "zojax, random signs",
    "zojax, gaussian": "zojax, gaussian directions",
    "JAX, two perturbed copies": "JAX, two perturbed copies",
    "PyTorch, MeZO in place": "PyTorch, MeZO in place",
    "evosax, OpenES": "evosax, OpenES",
}
# Methods in the figure of their losses: more cannot be told apart.
_SHOWN = 12


def draw(results: Results, folder: Path) -> list[str]:
    """Draws every figure whose rows are there, and returns the names of their files."""
    folder.mkdir(exist_ok=True)
    drawn = []
    for name, figure in FIGURES.items():
        made = figure(results)
        if made is not None:
            _save(made, folder / f"{name}.svg")
            drawn.append(f"{name}.svg")
    return drawn


def _save(figure: Figure, path: Path) -> None:
    """Without a date and with ids that do not change."""
    FigureCanvasSVG(figure)
    with matplotlib.rc_context({"svg.hashsalt": "zojax"}):
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def _peers(results: Results) -> Figure | None:
    """Time and memory of a step, over those of the forward passes that it consists of."""
    rows = {row["program"]: row for row in results.rows("peers")}
    if not rows:
        return None
    forwards = rows["JAX, two forwards"]["ms"]
    labels = list(_PEERS.values())[::-1]
    programs = [rows[program] for program in _PEERS][::-1]
    colors = ["C0" if label.startswith("zojax") else "0.6" for label in labels]
    figure = Figure(figsize=(9, 2.7), layout="constrained")
    time, memory = figure.subplots(1, 2, sharey=True)
    panels = {
        time: ("time of a step / two forward passes", [row["ms"] / forwards for row in programs]),
        memory: ("peak memory / inference", [row["peak / inference"] for row in programs]),
    }
    for panel, (title, values) in panels.items():
        panel.barh(labels, [value or 0 for value in values], color=colors)
        panel.axvline(1, color="0.2", linewidth=0.8, linestyle=":")
        for place, value in enumerate(values):
            text = "not counted" if value is None else f" {value:.2f}"
            panel.text(value or 0.1, place, text, va="center", fontsize=8)
        panel.set_xlabel(title)
        panel.set_xlim(0, 1.15 * max(value for value in values if value))
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _methods(results: Results) -> Figure | None:
    """Validation loss against loss evaluations on the shipped default: the best, and MeZO."""
    rows = results.where("compare", model="opt-reviews")
    if not rows:
        return None
    rows.sort(key=lambda row: row["curve"][-1][1])
    rows = [row for place, row in enumerate(rows) if place < _SHOWN or row["method"] == "mezo"]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panel = figure.subplots()
    for place, row in enumerate(rows):
        takes_gradients = row["method"] == "adamw"
        style = {"color": "0.2", "linestyle": "--"} if takes_gradients else {}
        if not takes_gradients:
            style = {"color": f"C{place % 10}", "linestyle": ("-", "-.")[place // 10 % 2]}
        label = f"{row['method']} (takes gradients)" if takes_gradients else row["method"]
        panel.plot(*zip(*row["curve"], strict=True), label=label, linewidth=1.4, **style)
    panel.set(xlabel="loss evaluations, each on a batch", ylabel="validation loss", yscale="log")
    panel.grid(visible=True, alpha=0.3, which="both")
    panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _accelerators(results: Results) -> Figure | None:
    """Peak memory of a step over inference, as the compilers of accelerators count it."""
    programs = ("packed signs", "gaussian", "factored rank 1", "naive")
    rows = results.where("accelerators", size="1.3B", dtype="bfloat16", form="scanned OPT")
    peaks = {(row["machine"], row["program"]): row["peak / inference"] for row in rows}
    machines = list(dict.fromkeys(machine for machine, _ in peaks))
    if not peaks:
        return None
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    panel = figure.subplots()
    for place, program in enumerate(programs):
        across = [at + 0.2 * (place - 1.5) for at in range(len(machines))]
        heights = [peaks[machine, program] for machine in machines]
        color = "0.6" if program == "naive" else f"C{place}"
        title = "two perturbed copies" if program == "naive" else f"zojax, {program}"
        panel.bar(across, heights, width=0.19, color=color, label=title)
    panel.axhline(1, color="0.2", linewidth=0.8, linestyle=":")
    panel.set_xticks(range(len(machines)), machines)
    panel.set_ylabel("peak memory / inference")
    panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _functions(results: Results) -> Figure | None:
    """Ln of the mean loss against loss evaluations, beside what ZoAR's authors publish."""
    rows = results.rows("synthetic")
    if not rows:
        return None
    functions = list(dict.fromkeys(function for function, _ in PUBLISHED))
    figure = Figure(figsize=(10, 3), layout="constrained")
    panels = dict(zip(functions, figure.subplots(1, len(functions), sharex=True), strict=True))
    for function, panel in panels.items():
        for row in rows:
            if row["function"] == function:
                _draw_function(panel, row)
        panel.set_title(function, fontsize=10)
        panel.tick_params(labelsize=8)
        panel.grid(visible=True, alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[functions[0]].set_ylabel("ln of the loss")
    figure.supxlabel("thousands of loss evaluations", fontsize=10)
    named = {line.get_label(): line for line in panels[functions[0]].get_lines()}
    # The crosses last.
    shown = sorted(named.values(), key=lambda line: line.get_linestyle() == "None")
    figure.legend(handles=shown, loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _draw_function(panel: Any, row: Row) -> None:
    place = ESTIMATORS.index(row["estimator"])
    names = ("forward differences", "averaged baseline", "zoar, history of 5")
    color = ("0.5", "C0", "C3")[place]
    queries = row["settings"]["num_queries"]
    # Forward differences evaluate the loss at the params as well.
    in_thousands = (queries + (row["estimator"] == "Vanilla")) / 1000
    evaluations = [step * in_thousands for step in row["steps"]]
    style = "-" if row["rule"] == "ZO-AdaMM" else "--"
    label = f"{names[place]}, {row['rule']}"
    panel.plot(evaluations, mean_logs(row), style, color=color, label=label, linewidth=1.2)
    published = PUBLISHED[row["function"], row["rule"]][place]
    if published is not None:
        panel.plot(evaluations[-1:], [published], "x", color=color, label="published, at the end")


FIGURES: dict[str, Callable[[Results], Figure | None]] = {
    "methods": _methods,
    "peers": _peers,
    "accelerators": _accelerators,
    "functions": _functions,
    "papers": _papers.figure,
}
