"""Draws the tables and figures of the pages anew from the JSON lines in results/.

    python -m experiments.report

A page has places for its tables, `<!-- table: NAME -->` to `<!-- end -->`; what lies between is
written anew. Figures go to docs/figures, and that of the synthetic experiment stays beside its
rows. With `--check` nothing is written, and tables that are out of date are an error.
"""

import dataclasses
import sys
from pathlib import Path

import tyro

from experiments import _results_figures, _results_tables, _synthetic_plot
from experiments._results import Results

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# Pages with places for tables.
PAGES = (
    *(DOCS / name for name in ("papers.md", "performance.md", "methods.md")),
    ROOT / "experiments" / "README.md",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is drawn."""

    check: bool = False
    """Only say which pages are out of date."""


def pages(results: Results) -> dict[Path, str]:
    """The text of every page with its tables drawn anew."""
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    return {page: _results_tables.filled(text, results) for page, text in texts.items()}


def main(settings: Settings) -> None:
    """Writes what differs, or names it."""
    results = Results()
    stale = [
        (page, text)
        for page, text in pages(results).items()
        if page.read_text(encoding="utf-8") != text
    ]
    names = ", ".join(str(page.relative_to(ROOT)) for page, _ in stale)
    if settings.check:
        sys.exit(f"out of date: {names}; run python -m experiments.report" if stale else 0)
    for page, text in stale:
        page.write_text(text, encoding="utf-8")
    _synthetic_plot.plot(results.rows("synthetic"), results.folder / "synthetic.png", compared=True)
    figures = ["synthetic.png", *_results_figures.draw(results, DOCS / "figures")]
    print(f"pages: {names or 'none has changed'}\nfigures: {', '.join(figures)}")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
