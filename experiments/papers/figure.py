"""The six papers in six panels."""

from typing import Any

from matplotlib.figure import Figure

from experiments._results import Results
from experiments.papers.claims import adapter
from experiments.papers.found import Found
from experiments.papers.names import BASELINE, JUMPING, NOISES, OURS, RANKS, SMALL, USUAL, WHOLE

# Of each paper a problem, and the arms that are drawn.
_CURVES = {
    "ZO-Muon": (WHOLE, ("MeZO", "MeZO, decaying", "ZO-Muon", "ZO-Muon, decaying")),
    "LOREN": (
        SMALL,
        (
            "MeZO",
            "leave-one-out with momentum",
            "LOREN, frozen",
            "LOREN",
            "LOREN, temperature 1000",
        ),
    ),
    "R-AdaZO": (
        SMALL,
        ("MeZO", "R-AdaZO", "ZO-AdaMM", "ZO-AdaMM at R-AdaZO's rate", "ZO-AdaMM at equal steps"),
    ),
    "ZoAR": (
        JUMPING,
        (
            "MeZO",
            "forward differences",
            "averaged baseline without history",
            "ZoAR",
            "ZoAR, per block",
        ),
    ),
    "MeZO-BCD": (WHOLE, ("MeZO", "MeZO-BCD")),
}


def figure(results: Results) -> Figure | None:
    """Loss against loss evaluations, and of adapters against the rank."""
    found = Found(results)
    if not found.rows:
        return None
    drawn = Figure(figsize=(11, 6.4), layout="constrained")
    panels = drawn.subplots(2, 3).ravel()
    for panel, (paper, (problem, arms)) in zip(panels, _CURVES.items(), strict=False):
        _curves(panel, found, paper, problem, arms)
    _ranks(panels[-1], found)
    for panel in panels:
        panel.grid(visible=True, alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
        panel.legend(fontsize=7, frameon=False)
    return drawn


def _curves(panel: Any, found: Found, paper: str, problem: str, arms: tuple[str, ...]) -> None:
    for place, arm in enumerate(arms):
        curve = found.row(paper, problem, arm)["curve"]
        color = "0.5" if arm == BASELINE else f"C{place - 1}"
        panel.plot(*zip(*curve, strict=True), color=color, label=arm, linewidth=1.2)
    panel.set_title(f"{paper}: {problem}", fontsize=9)
    panel.set_xlabel("loss evaluations", fontsize=8)
    panel.set_yscale("log")


def _ranks(panel: Any, found: Found) -> None:
    """The last loss of whole adapters and of atoms, without noise and with it."""
    for arm, color in (("MeZO", "0.5"), ("AR1-ZO", "C3")):
        for scale, style in ((OURS, "o-"), (USUAL, "s--")):
            rows = [adapter(found, arm, rank, scale, NOISES[-1]) for rank in RANKS]
            label = f"{'whole' if arm == BASELINE else 'atoms'}, s = {scale}"
            losses = [row["loss"] for row in rows]
            panel.errorbar(
                RANKS,
                losses,
                [row["its deviation"] for row in rows],
                fmt=style,
                color=color,
                label=label,
                linewidth=1.2,
                capsize=2,
            )
    panel.set_title(f"AR1-ZO: loss at the end, σ = {NOISES[-1]:g}", fontsize=9)
    panel.set_xlabel("rank", fontsize=8)
    panel.set_xscale("log", base=2)
    panel.set_xticks(RANKS, [str(rank) for rank in RANKS])
