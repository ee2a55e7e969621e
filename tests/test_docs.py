"""The pages of the site agree with the repository, and docstrings are read as they are meant."""

import re
import runpy
from pathlib import Path

import pytest

import zojax.methods
from experiments import report
from experiments._results import Results

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "experiments").rglob("README.md")),
]
METHODS = (DOCS / "methods.md").read_text(encoding="utf-8")
ROW = r"^\| `(\w+)` \(\[file\]\(\.\./zojax/methods/_(\w+)\.py"
as_rst = runpy.run_path(str(DOCS / "_ext" / "plain_docstrings.py"))["as_rst"]


def test_the_table_of_methods_is_complete():
    rows = re.findall(ROW, METHODS, re.MULTILINE)
    assert {name for name, _ in rows} == set(zojax.methods.__all__)
    assert all(name == file for name, file in rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_picture_within_the_repository_is_there(page):
    for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert "://" in link or (page.parent / link).exists(), link


def test_tables_are_drawn_from_the_results_that_are_there():
    """After a new measurement: python -m experiments.report."""
    for page, text in report.pages(Results()).items():
        assert page.read_text(encoding="utf-8") == text, f"{page}: run python -m experiments.report"


def test_equations_keep_their_lines_and_lists_their_items():
    docstring = """Descent.

    x ← x - η g_k                                          (1)
      η > 0

where |g_k| is `norm_`:
- one *item*
  of two lines
- `leaf`s

Args:
  x: params,
    of any shape."""
    assert as_rst(docstring.splitlines()) == [
        "Descent.",
        "",
        "::",
        "",
        "    x ← x - η g_k                                          (1)",
        "      η > 0",
        "",
        "where \\|g_k\\| is `norm_`:",
        "",
        "- one \\*item\\*",
        "  of two lines",
        "- `leaf`\\ s",
        "",
        "Args:",
        "  x: params,",
        "    of any shape.",
    ]


def test_examples_stay_as_they_are():
    lines = ["Examples:", "  >>> x_ = f(*args)", "  >>> x_", "  3"]
    assert as_rst(lines) == lines
