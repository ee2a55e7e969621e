"""Files that are whole or not there, whenever a process is killed or a machine goes down."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path


def write_atomically(path: str | Path, text: str) -> None:
    """Writes a file of text in the place of what is there, which stays until the new one is whole.

    The text goes to a file beside it, to the disk (fsync), and then takes the name.

    Args:
      path: of the file; its folder has to exist.
      text: all of it, stored as UTF-8.

    Raises:
      OSError: naming the file, if it cannot be written; what was there before is untouched.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.part")
    try:
        with naming(path):
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            sync(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def sync(path: Path) -> None:
    """Waits until a file, or the list of names of a folder, is on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the system names this file: of a full disk it says only that it is full."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def cause_of(error: BaseException) -> tuple[int, str] | None:
    """Number and words of the error of the system behind an error of a library; None without one.

    tensorstore tells it within its message: "No space left on device [os_error_code='28']".
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno:
            return seen.errno, seen.strerror or str(seen)
        if found := re.search(r"os_error_code='(\d+)'", str(seen)):
            return int(found[1]), os.strerror(int(found[1]))
        seen = seen.__cause__ or seen.__context__
    return None
