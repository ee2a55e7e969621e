"""Whether the files of a folder are those that were written: a list of hashes beside them.

`manifest.sha256` has the form of `sha256sum`, a line a file, so that `sha256sum -c manifest.sha256`
checks a folder as well.
"""

import concurrent.futures
import hashlib
from pathlib import Path

from zojax.training._files import sync, write_atomically

MANIFEST = "manifest.sha256"


def write_manifest(folder: Path) -> None:
    """Lists the files of a folder, after all of them are on the disk."""
    for path in folder.rglob("*"):
        sync(path)
    write_atomically(folder / MANIFEST, _lines(_hashes(folder)))


def find_fault(folder: Path) -> str | None:
    """Returns what is wrong with a folder, naming the file; None if all is as it was written.

    Reads every file once, several at a time.
    """
    manifest = folder / MANIFEST
    if not manifest.exists():
        return f"{MANIFEST} is missing, as after a save that was cut short"
    try:
        text = manifest.read_text(encoding="utf-8")
        found = _hashes(folder)
    except (OSError, UnicodeDecodeError) as error:
        return f"{getattr(error, 'filename', None) or MANIFEST} cannot be read ({error})"
    listed = {line[66:]: line[:64] for line in text.splitlines()}
    for name in sorted(listed.keys() | found.keys()):
        if name not in found:
            return f"{name} is listed in {MANIFEST} and missing"
        if name not in listed:
            return f"{name} is not listed in {MANIFEST}"
        if found[name] != listed[name]:
            size = (folder / name).stat().st_size
            return f"{name} ({size:,} bytes) does not have the hash that {MANIFEST} says"
    return None if text == _lines(found) else f"{MANIFEST} has other bytes than were written"


def _lines(hashes: dict[str, str]) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in hashes.items())


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by path in the folder, of all files but the manifest."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    paths = [path for path in paths if path != folder / MANIFEST]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        digests = pool.map(_sha256, paths)
        names = (path.relative_to(folder).as_posix() for path in paths)
        return dict(zip(names, digests, strict=True))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
