"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of these cells."""
    first, *others = (
        "|" + "".join(f" {cell} |" if cell else " |" for cell in row) for row in (header, *rows)
    )
    return "\n".join((first, "|" + "---|" * len(header), *others))
