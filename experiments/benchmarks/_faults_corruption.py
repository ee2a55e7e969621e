"""Damage to every file of the newest checkpoint: the one before is used, and the file is named."""

import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.benchmarks._faults_row import Row
from zojax.training import Checkpoints

# Steps of the checkpoints: before, and the one that is damaged.
BEFORE, NEWEST = 1, 2


class Damage(NamedTuple):
    """What happens to a file.

    Attributes:
      name: in words.
      to: does it, given the path.
    """

    name: str
    to: Callable[[Path], Any]


def corruptions(offsets: int, seed: int) -> Iterator[Row]:
    """A row for each kind of damage: to one file at a time, each of them."""
    with tempfile.TemporaryDirectory() as folder:
        whole, trees = make_checkpoints(Path(folder) / "whole")
        files = files_of(whole)
        kinds = damages(offsets, random.Random(seed))
        for name in dict.fromkeys(damage.name for damage in kinds):
            tried = [(f, d) for f in files for d in kinds if d.name == name and applies(whole, f)]
            well = sum(detected(whole, file, damage, trees) for file, damage in tried)
            yield Row(f"file of a checkpoint {name}", well, len(tried), f"{len(files)} files")


def make_checkpoints(folder: Path) -> tuple[Path, dict[int, Any]]:
    """Two checkpoints as runs have them, and their params by step."""
    key = jax.random.key(0)
    trees = {
        step: {
            "w": jax.random.normal(jax.random.fold_in(key, step), (40, 50)),
            "b": jax.numpy.full(5, step),
        }
        for step in (BEFORE, NEWEST)
    }
    with Checkpoints(folder) as checkpoints:
        for step, tree in trees.items():
            checkpoints.save(step, tree, {"count": jax.numpy.int32(step)}, loss=0.5)
    return folder, trees


def files_of(folder: Path) -> list[str]:
    """The files of the newest checkpoint."""
    newest = folder / str(NEWEST)
    return sorted(str(path.relative_to(newest)) for path in newest.rglob("*") if path.is_file())


def applies(folder: Path, file: str) -> bool:
    """Whether a file has bytes that can change."""
    return (folder / str(NEWEST) / file).stat().st_size > 0


def damages(offsets: int, rng: random.Random) -> list[Damage]:
    """What can happen to a file that is not empty."""
    places = [(rng.random(), rng.randrange(8)) for _ in range(offsets)]
    return [
        Damage("cut to half", lambda path: path.write_bytes(_half(path.read_bytes()))),
        Damage("emptied", lambda path: path.write_bytes(b"")),
        Damage("removed", Path.unlink),
        Damage("overwritten", lambda path: path.write_bytes(_inverted(path.read_bytes()))),
        *(Damage("with a bit flipped", _flip(*place)) for place in places),
    ]


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _inverted(content: bytes) -> bytes:
    return bytes(255 - byte for byte in content)


def _flip(place: float, bit: int) -> Callable[[Path], Any]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 1 << bit
        path.write_bytes(content)

    return flip


def detected(whole: Path, file: str, damage: Damage, trees: dict[int, Any]) -> bool:
    """Damages a file of a copy, opens it, and says whether all went well."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(whole, Path(folder) / "copy")
        damage.to(copy / str(NEWEST) / file)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with Checkpoints(copy) as checkpoints:
                step = checkpoints.latest_step
                (params,) = checkpoints.restore(step, params=trees[BEFORE])
    named = any(Path(file).name in str(warning.message) for warning in said)
    return step == BEFORE and named and _same(params, trees[BEFORE])


def _same(ours: Any, theirs: Any) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(ours), jax.tree.leaves(theirs)))
