"""The notebooks: their sources run and learn, and the executed pairs tell the same."""

import ast
import runpy
from pathlib import Path

import jupytext
import pytest

SOURCES = sorted((Path(__file__).parent.parent / "notebooks").glob("*.py"))
sources = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def pair(source):
    return jupytext.read(source.with_suffix(".ipynb"))


@sources
def test_the_source_runs_without_a_screen_and_every_loss_falls(source, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    losses = runpy.run_path(str(source))["losses"]
    assert losses
    for name, values in losses.items():
        assert values[-1] < 0.2 * values[0], name


@sources
def test_source_and_pair_have_the_same_cells(source):
    ours, theirs = (
        [(cell.cell_type, cell.source) for cell in notebook.cells]
        for notebook in (jupytext.read(source), pair(source))
    )
    assert ours == theirs, f"{source.name} was edited: execute its pair anew (see README.md)"


@sources
def test_the_pair_was_executed_once_from_top_to_bottom_and_shows_a_plot(source):
    cells = [cell for cell in pair(source).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)


@sources
def test_only_public_names_of_zojax_are_used(source):
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            assert first != "experiments"
            assert first != "zojax" or not any(part.startswith("_") for part in rest), name
