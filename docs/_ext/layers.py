"""`{zojax-layer} methods`: what a layer of zojax offers, read from the package.

First stands the docstring of the layer. Of each name stands the card, the docstring of its file, if
that says more than a line, and then its own docstring. A name that is added to the package is here
without a word.
"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import zojax


def names_of(layer: str) -> list[str]:
    """Dotted names of a layer, those of its module if it stands beside the core."""
    module = importlib.import_module(f"zojax.{layer}")
    of_core = [name for name, found in _public(zojax) if _home(found) == layer]
    if of_core:
        return [f"zojax.{name}" for name in of_core]
    return [f"zojax.{layer}.{name}" for name in module.__all__]


def _public(module: ModuleType) -> Iterator[tuple[str, object]]:
    for name, found in sorted(vars(module).items(), key=lambda item: item[0].lower()):
        if not name.startswith("_") and not inspect.ismodule(found):
            yield name, found


def _home(found: object) -> str:
    return found.__module__.split(".")[1]


class Layer(SphinxDirective):
    """Cards and docstrings of all names of a layer."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        layer = self.arguments[0]
        lines = [f".. automodule:: zojax.{layer}", "   :no-index:", ""]
        lines += [line for name in names_of(layer) for line in _entry(name)]
        return self.parse_text_to_nodes(
            "\n".join(["```{eval-rst}", *lines, "```"]), allow_section_headings=True
        )


def _entry(name: str) -> Iterator[str]:
    path, _, short = name.rpartition(".")
    found = getattr(importlib.import_module(path), short)
    title = name.removeprefix("zojax.")
    yield from (title, "-" * len(title), "")
    card = sys.modules[getattr(found, "__module__", path)]
    is_card = len((card.__doc__ or "").splitlines()) > 1
    if is_card and card.__name__.endswith(f"._{short}"):
        yield from (f".. automodule:: {card.__name__}", "   :no-index:", "")
    yield f".. {_kind(found)}:: {name}"
    # The fields of a tuple are in its docstring.
    if inspect.isclass(found) and not issubclass(found, tuple):
        yield "   :members:"
    yield ""


def _kind(found: object) -> str:
    if inspect.isclass(found):
        return "autoclass"
    return "autofunction" if callable(found) else "autodata"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("zojax-layer", Layer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
