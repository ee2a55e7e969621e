"""The benchmark of faults, briefly."""

import json

import pytest

from experiments.benchmarks import _faults_bad_inputs, faults
from experiments.benchmarks._faults_kills import kills
from experiments.benchmarks._faults_replay import replays
from tests.bad_inputs.case import BadInput


@pytest.mark.slow
def test_damage_to_every_file_is_detected(results):
    none = {"kills": 0, "kills_of_two": 0, "replays": 0, "bad_inputs": 0}
    rows = faults.main(faults.Settings(offsets=1, **none))
    assert [row["fault"].rpartition(" a checkpoint ")[2] for row in rows] == [
        *("cut to half", "emptied", "removed", "overwritten", "with a bit flipped"),
    ]
    assert all(row["well"] == row["tried"] > 20 for row in rows)
    assert len((results / "faults.jsonl").read_text().splitlines()) == len(rows)
    assert {"settings", "device"} <= json.loads(
        (results / "faults.jsonl").read_text().splitlines()[0]
    ).keys()


@pytest.mark.slow
def test_a_run_that_is_killed_at_a_save_ends_as_if_nothing_had_happened():
    (row,) = kills(1, 1, seed=1)
    assert (row.well, row.tried) == (1, 1)


@pytest.mark.slow
def test_a_run_is_made_again_from_its_log():
    (row,) = replays(1)
    assert (row.well, row.tried) == (1, 1)
    assert "bytes of log for" in row.remarks


def test_an_input_that_is_not_refused_by_name_is_told_of(monkeypatch):
    def refused(folder):
        return lambda: int("no number")

    cases = [BadInput("one", refused, "no number"), BadInput("other", refused, "another message")]
    monkeypatch.setattr(_faults_bad_inputs, "TABLE", {"numbers": cases})
    (row,) = _faults_bad_inputs.bad_inputs(2)
    assert row[:3] == ("bad input: numbers", 1, 2)
    assert row.remarks.startswith("other: the message is")
