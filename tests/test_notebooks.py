"""The notebooks: their sources run and learn, and the executed pairs tell the same."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
sources = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def pair(source):
    return jupytext.read(source.with_suffix(".ipynb"))


@sources
def test_the_source_runs_without_a_screen_and_claims_what_is_true(source):
    run = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "notebook_claims.py"), str(source)],
        env={**os.environ, "MPLBACKEND": "Agg", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]


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


def install_cells():
    """The first cell of code of each notebook."""
    for source in SOURCES:
        yield next(cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code")


def test_all_begin_with_the_same_cell_that_installs():
    assert len(set(install_cells())) == 1


@pytest.mark.parametrize(
    ("beside", "accelerator", "expected"),
    [
        ([], None, ["zojax[models]", "jax"]),
        ([], "gpu", ["zojax[models]", "jax[cuda12]"]),
        (["zojax/pyproject.toml"], "tpu", ["{here}/zojax[models]", "jax[tpu]"]),
        (
            ["zojax-1.0-py3-none-any.whl", "zojax/pyproject.toml"],
            None,
            ["{here}/zojax-1.0-py3-none-any.whl[models]", "jax"],
        ),
    ],
)
def test_a_fresh_machine_gets_what_is_there(beside, accelerator, expected, tmp_path, monkeypatch):
    here = tmp_path / "content"
    for name in beside:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: accelerator == "gpu" or None)
    exists = Path.exists
    monkeypatch.setattr(
        Path,
        "exists",
        lambda path: accelerator == "tpu" if path.parts[:2] == ("/", "dev") else exists(path),
    )
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    exec(next(install_cells()), {})
    (command,) = commands
    assert command[1:5] == ["-m", "pip", "install", "-q"]
    assert command[5:7] == [text.format(here=here.resolve()) for text in expected]
