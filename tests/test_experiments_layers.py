"""Modules of experiments import each other without circles."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import experiments

ROOT = Path(experiments.__file__).parent


def name_of(path):
    """The dotted name of a file: `experiments.tasks` of experiments/tasks/__init__.py."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}


def imported(source, known):
    """Those of `known` modules that a source imports: inside functions and for types, too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                if whole in known:
                    yield whole
                elif node.module in known:
                    yield node.module


def order(sources):
    """The modules in an order in which each stands behind all that it imports.

    Raises:
      CycleError: if there is none.
    """
    graph = {name: set(imported(source, sources)) for name, source in sources.items()}
    return list(TopologicalSorter(graph).static_order())


def test_no_circle():
    """Not in functions, nor where only types are checked."""
    ordered = order(MODULES)
    assert set(ordered) == set(MODULES)
    assert ordered.index("experiments._methods") < ordered.index("experiments.finetune")


def has_circle(**sources):
    try:
        order(sources)
    except CycleError:
        return True
    return False


def test_a_circle_is_found_wherever_it_is_imported():
    hidden = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import X\n"
    late = "def f():\n    import a\n"
    assert has_circle(a="import b", b=hidden)
    assert has_circle(a="from b import Y", b=late)
    assert has_circle(a="import b", b="import c", c="import a")
    assert has_circle(a="import a")
    assert not has_circle(a="import b\nimport c", b="from c import Z", c="import jax")
