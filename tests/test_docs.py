"""The pages in docs/ agree with the repository."""

import re
from pathlib import Path

import zojax.methods

DOCS = Path(__file__).parent.parent / "docs"
METHODS = (DOCS / "methods.md").read_text(encoding="utf-8")
ROW = r"^\| `(\w+)` \(\[file\]\(\.\./zojax/methods/_(\w+)\.py"


def test_the_table_of_methods_is_complete():
    rows = re.findall(ROW, METHODS, re.MULTILINE)
    assert {name for name, _ in rows} == set(zojax.methods.__all__)
    assert all(name == file for name, file in rows)
