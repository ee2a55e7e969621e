"""`{kept-results}`: a table of every row in experiments/results."""

import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from experiments._results import Results
from experiments._results_tables import all_rows


class KeptResults(SphinxDirective):
    """A section for each file."""

    def run(self) -> list[nodes.Node]:
        results = Results()
        for path in results.folder.glob("*.jsonl"):
            self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(all_rows(results), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("kept-results", KeptResults)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
