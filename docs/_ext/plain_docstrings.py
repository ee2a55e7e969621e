"""Docstrings of zojax, which are plain text for a terminal, as reStructuredText.

What stands further in than its paragraph is an equation or code, and keeps its lines. A list may
follow its heading at once. Characters that only reStructuredText gives a meaning are escaped.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

_CODE = re.compile(r"(``.+?``|`.+?`)", re.DOTALL)
_MARKUP = re.compile(r"(?<!\\)([*|]|(?<=\w)_(?!\w))")
_ITEM = re.compile(r"\s*([-*]|\d+\.) ")


def as_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring, its indentation taken off, as reStructuredText."""
    found: list[str] = []
    for is_text, run in itertools.groupby(_marked(lines), key=lambda marked: marked[0]):
        text = "\n".join(line for _, line in run)
        found += (_escaped(text) if is_text else text).split("\n")
    return found


def _marked(lines: list[str]) -> Iterator[tuple[bool, str]]:
    """Lines with what was missing between them, and whether each is text."""
    indent_of_text, indent_of_literal, before = 0, None, ""
    for line in lines:
        indent = _indent(line)
        if not line.strip():
            yield indent_of_literal is None, line
        elif indent_of_literal is not None and indent >= indent_of_literal:
            yield False, line
        elif line.lstrip().startswith((">>>", "...")):
            indent_of_literal = None
            yield False, line
        elif not before.strip() and indent >= indent_of_text + 4:
            indent_of_literal = indent
            yield from ((True, " " * indent_of_text + "::"), (False, ""), (False, line))
        else:
            indent_of_literal = None
            is_first = _ITEM.match(line) and not _ITEM.match(before) and _indent(before) <= indent
            if is_first and before.strip():
                yield True, ""
            indent_of_text = indent + 2 * bool(_ITEM.match(line))
            yield True, line
        before = line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _escaped(text: str) -> str:
    """Code stays as it is; a letter at once behind it, the s of a plural, is told from it."""
    parts = _CODE.split(text)
    plain = [_MARKUP.sub(r"\\\1", part) for part in parts[::2]]
    plain[1:] = [f"\\ {part}" if re.match(r"\w", part) else part for part in plain[1:]]
    parts[::2] = plain
    return "".join(parts)


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if name.startswith("zojax"):
        lines[:] = as_rst(lines)


def setup(app: Any) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.napoleon")
    # Before napoleon, which takes the sections apart.
    app.connect("autodoc-process-docstring", _process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
