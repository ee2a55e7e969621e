"""What a user sees of something that takes a while: a line that moves, or a few that do not."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console

# Elsewhere than on a terminal, so many lines say how far something is.
_LINES = 4


@contextlib.contextmanager
def showing(console: Console, text: str) -> Iterator[Callable[[int, int], None]]:
    """Says at once what is being done, and then how far it is.

    On a terminal by a line that is gone in the end; elsewhere by a line at the start, and where
    somebody counts by one at each quarter but the last.

    Args:
      console: where to say it.
      text: what is being done, such as "evaluating".

    Yields:
      `(done, total) -> None`, to be called as it goes; what is never counted calls it never.
    """
    if not console.is_terminal:
        console.print(f"{text} …", highlight=False)
        yield _Quarters(console, text).count
        return
    with console.status(f"{text} …") as status:
        yield lambda done, total: status.update(f"{text}: {done:,} of {total:,}")


class _Quarters:
    def __init__(self, console: Console, text: str):
        self._console, self._text, self._told = console, text, 0

    def count(self, done: int, total: int) -> None:
        quarter = _LINES * done // total
        if self._told < quarter < _LINES:
            self._console.print(f"{self._text}: {done:,} of {total:,}", highlight=False)
        self._told = quarter
