"""The rows as tables in Markdown."""

import math
from collections.abc import Callable

from experiments._markdown import markdown
from experiments._results import Results, Row
from experiments.papers.claims import CLAIMS, adapter
from experiments.papers.found import Found
from experiments.papers.names import BASELINE, NOISES, OURS, RANKS, USUAL, WHOLE

STEP = "step / MeZO's"
PAPERS = ("ZO-Muon", "LOREN", "R-AdaZO", "ZoAR", "MeZO-BCD")


def _claims(results: Results) -> str:
    """The verdicts."""
    found = Found(results)
    if not found.rows:
        return ""
    measured = [(claim, *claim.measured(found)) for claim in CLAIMS]
    rows = [
        [claim.paper, claim.text, claim.number, ours, f"**{verdict}**", claim.why]
        for claim, ours, verdict in measured
    ]
    return markdown(["paper", "claim", "the paper", "here", "", "why"], rows)


def _of(paper: str) -> Callable[[Results], str]:
    """All arms of a paper."""

    def table(results: Results) -> str:
        found = Found(results)
        header = ["problem", "arm", "learning rate", "evaluations", "step / MeZO's", "loss"]
        rows = [_cells(found, row) for row in found.of(paper)]
        return markdown([*header, "accuracy", "share to MeZO's loss"], rows)

    return table


def _cells(found: Found, row: Row) -> list[str]:
    share = found.share(row)
    accuracy = row["accuracy"]
    return [
        row["problem"],
        row["arm"],
        f"{row['learning rate']:.2g}{'*' if row['at the end of the grid'] else ''}",
        f"{row['evaluations']:,}",
        f"{row[STEP]:.2f}" if row["problem"] == WHOLE else "",
        _spread(row),
        "" if accuracy is None else f"{accuracy:.1%} ± {row['of the accuracy']:.1%}",
        "not reached" if math.isinf(share) else f"{share:.0%}",
    ]


def _spread(row: Row) -> str:
    if row["loss"] is None:
        return f"{row['diverged']} of {row['seeds']} diverged"
    digits = ",.0f" if row["loss"] >= 1000 else ".3f" if row["loss"] < 10 else ".1f"
    return f"{row['loss']:{digits}} ± {row['its deviation']:{digits}}"


def _ar1_zo(results: Results) -> str:
    """Ranks against methods and scales."""
    found = Found(results)
    if not found.of("AR1-ZO"):
        return ""
    kinds = [(arm, scale) for scale in (OURS, USUAL) for arm in (BASELINE, "AR1-ZO")]
    rows = []
    for noise in NOISES:
        for rank in RANKS:
            of_rank = [adapter(found, arm, rank, scale, noise) for arm, scale in kinds]
            ends = ["*" if row["at the end of the grid"] else "" for row in of_rank]
            cells = [f"{_spread(row)}{end}" for row, end in zip(of_rank, ends, strict=True)]
            rows.append([f"{noise:g}", str(rank), *cells])
    names = {BASELINE: "whole", "AR1-ZO": "atoms"}
    header = [f"{names[arm]}, s = {scale}" for arm, scale in kinds]
    return markdown(["σ", "rank", *header], rows)


TABLES: dict[str, Callable[[Results], str]] = {
    "claims": _claims,
    **{f"papers_{name.lower().replace('-', '_')}": _of(name) for name in PAPERS},
    "papers_ar1_zo": _ar1_zo,
    "combinations": _of("combinations"),
}
