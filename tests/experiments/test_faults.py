"""The benchmark of faults, briefly."""

import json

import pytest

from experiments.benchmarks import faults
from experiments.benchmarks._faults_kills import kills
from experiments.benchmarks._faults_replay import replays


@pytest.mark.slow
def test_damage_to_every_file_is_detected(results):
    rows = faults.main(faults.Settings(kills=0, kills_of_two=0, offsets=1, replays=0))
    assert [row["fault"].rpartition(" a checkpoint ")[2] for row in rows] == [
        *("cut to half", "emptied", "removed", "overwritten", "with a bit flipped"),
    ]
    assert all(row["well"] == row["tried"] > 20 for row in rows)
    assert len((results / "faults.jsonl").read_text().splitlines()) == len(rows)
    assert {"settings", "device"} <= json.loads(
        (results / "faults.jsonl").read_text().splitlines()[0]
    ).keys()


@pytest.mark.slow
def test_runs_that_are_killed_end_as_if_nothing_had_happened():
    (row,) = kills(1, 2, seed=1)
    assert (row.well, row.tried) == (2, 2)


@pytest.mark.slow
def test_a_run_is_made_again_from_its_log():
    (row,) = replays(1)
    assert (row.well, row.tried) == (1, 1)
    assert "bytes of log for" in row.remarks
