"""What becomes of a run that something happens to?

    python -m experiments.benchmarks.faults            about 15 minutes on 2 cores
    python -m experiments.benchmarks.faults --kills 4

Runs of the main job are killed at random moments, and while they save, and continued; files of
checkpoints are cut short, removed, overwritten, and single bits of them flipped. Each row says how
often all went well: after a kill, the same weights bit by bit and the same metrics as without it;
after damage to a file, a warning that names it and the weights of the checkpoint before; from the
seed log of a run of each method, the same model byte by byte; a bad input, an error that names it,
with nothing written.
Expected: as many as were tried, in every row.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import tyro

from experiments.benchmarks._faults_bad_inputs import bad_inputs
from experiments.benchmarks._faults_corruption import corruptions
from experiments.benchmarks._faults_kills import kills
from experiments.benchmarks._faults_replay import REPLAYED, replays
from experiments.benchmarks._faults_row import Row
from experiments.benchmarks._report import Report


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of faults."""

    kills: int = 20
    """Kills of runs on one process."""
    kills_of_two: int = 6
    """Kills of one of two processes."""
    offsets: int = 10
    """Places of each file at which a bit is flipped."""
    replays: int = len(REPLAYED)
    """Methods of which a run is made again from its seed log."""
    bad_inputs: int = 1000
    """The most of each kind of input."""
    seed: int = 0
    """Of the moments and the places."""


# What is tried, one after another.
ROWS: tuple[Callable[[Settings], Iterator[Row]], ...] = (
    lambda settings: kills(1, settings.kills, settings.seed),
    lambda settings: kills(2, settings.kills_of_two, settings.seed),
    lambda settings: corruptions(settings.offsets, settings.seed),
    lambda settings: replays(settings.replays),
    lambda settings: bad_inputs(settings.bad_inputs),
)


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/, and returns its rows."""
    report = Report("faults", Row._fields, settings, names=1)
    for rows in ROWS:
        for row in rows(settings):
            report.row(*row)
    return report.finish()


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    main(tyro.cli(Settings))
