"""Imports between the parts of zojax run one way."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import zojax

ROOT = Path(zojax.__file__).parent
# Each part may import those in the groups before its own.
LAYERS = [
    {"_typing", "_trees", "_dtypes", "_axis_blocks", "_thresholds"},
    {"_measurement"},
    {"_checks", "_mesh"},
    {"_schedule"},
    {"_orthonormal"},
    {"noise"},
    {"recipes"},
    {"samplers"},
    {"evaluation"},
    {"estimators"},
    {"transforms"},
    {"methods"},
    {"__init__"},
]
# These stand beside the core: they may import all of it, and it none of them.
BESIDE = {"lora", "models", "prefix", "quantization", "training"}
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
        assert layer(other) < layer(mine), f"{mine} imports {other}"


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] == "samplers"], ids=str)
def test_families_of_samplers_know_nothing_of_each_other(path):
    if len(path.parts) < 3:
        return
    families = {folder.name for folder in (ROOT / "samplers").iterdir() if folder.is_dir()}
    names = [name.split(".") for name in imported(path) if name.startswith("zojax.samplers.")]
    assert {part[2] for part in names} & families <= {path.parts[1]}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_nothing_private_of_a_library_is_imported(path):
    """A name with a leading underscore may change from one release to the next."""
    others = [name for name in imported(path) if name.split(".")[0] != "zojax"]
    private = [n for n in others if any(part.startswith("_") for part in n.split(".")[:-1])]
    private += [n for n in others if n.split(".")[-1].startswith("_") and n != "__future__"]
    assert private == []


def test_the_core_needs_jax_optax_chex_and_numpy():
    core = [path for path in FILES if part(path) not in BESIDE]
    roots = {name.split(".")[0] for path in core for name in imported(path)}
    assert roots - set(sys.stdlib_module_names) == {"zojax", "jax", "optax", "chex", "numpy"}
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[a-z]+", line)[0] for line in project["dependencies"]}
    assert needed == {"jax", "optax", "chex", "numpy"}


def test_a_method_never_imports_a_method():
    for path in FILES:
        if part(path) == "methods" and path.name != "__init__.py":
            assert not any(name.startswith("zojax.methods") for name in imported(path)), path


def test_only_what_stands_beside_the_core_imports_flax():
    using = {part(path) for path in FILES if any(n.split(".")[0] == "flax" for n in imported(path))}
    assert using <= BESIDE
