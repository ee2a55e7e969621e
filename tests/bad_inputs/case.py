"""One bad input, and whether it is refused as it should be."""

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class BadInput(NamedTuple):
    """An input that has to be refused.

    Attributes:
      name: what is wrong with it, in a few words.
      prepare: makes what it needs in an empty folder, and returns the call that has to fail.
      message: what has to be said then, a regular expression: the argument, or the file and the
        place in it, and the value.
    """

    name: str
    prepare: Callable[[Path], Callable[[], Any]]
    message: str


def fault(case: BadInput, folder: Path) -> str | None:
    """What is wrong with how an input is refused, in an empty folder; None if nothing is.

    Wrong is anything but an error of a kind that a caller is told of, with the message, without a
    traceback on the screen, and with nothing written.
    """
    call = case.prepare(folder)
    before, printed = _content(folder), io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            call()
    except (ValueError, TypeError, FileNotFoundError, ImportError, SystemExit) as error:
        said = f"{printed.getvalue()}{error}"
    except Exception as error:
        return f"{type(error).__name__} instead of a message: {error}"
    else:
        return "it is not refused"
    if not re.search(case.message, _plain(said)):
        return f"the message is {said!r}"
    if "Traceback" in said:
        return "a traceback is printed"
    if _content(folder) != before:
        return "something was written"
    return None


def _plain(said: str) -> str:
    """Without the boxes and line breaks that a command line puts into its messages."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", said)


def _content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
