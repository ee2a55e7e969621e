"""Imports between the parts of zojax run one way."""

import ast
from pathlib import Path

import pytest

import zojax

ROOT = Path(zojax.__file__).parent
# Each part may import those in the groups before its own.
LAYERS = [
    {"_typing"},
    {"_checks", "_keys", "_mesh", "_hold", "_random"},
    {"directions"},
    {"evaluation"},
    {"estimators"},
    {"transforms"},
    {"methods"},
    {"__init__"},
]
# These stand beside the core: they may import all of it, and it none of them.
BESIDE = {"lora", "models", "prefix", "training"}
# Within the group of small helpers, some are made with the help of others.
NEIGHBORS = {("_keys", "_hold"), ("_keys", "_random"), ("_hold", "_mesh")}
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def part(path):
    """The part of the package that a file belongs to: `directions` of directions/_rows.py."""
    return path.parts[0].removesuffix(".py")


def imported(path):
    """The dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def parts_imported(path):
    """The parts of zojax that a file imports, without its own."""
    dotted = (name.split(".") for name in imported(path))
    return {names[1] for names in dotted if names[0] == "zojax"} - {part(path)}


def layer(name):
    return next(place for place, names in enumerate(LAYERS) if name in names)


def test_every_part_has_its_place():
    assert {part(path) for path in FILES} <= set().union(BESIDE, *LAYERS)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_run_one_way(path):
    mine, used = part(path), parts_imported(path)
    if mine in BESIDE:
        return
    assert not used & BESIDE
    for other in used:
        assert layer(other) < layer(mine) or (mine, other) in NEIGHBORS, f"{mine} imports {other}"


def test_a_method_never_imports_a_method():
    for path in FILES:
        if part(path) == "methods" and path.name != "__init__.py":
            assert not any(name.startswith("zojax.methods") for name in imported(path)), path


def test_only_what_stands_beside_the_core_imports_flax():
    using = {part(path) for path in FILES if any(n.split(".")[0] == "flax" for n in imported(path))}
    assert using <= BESIDE
