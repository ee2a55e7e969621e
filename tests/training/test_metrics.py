"""Metrics: JSON lines and TensorBoard events."""

import json
import math

import pytest

from zojax.training import MetricsWriter, read_metrics


def test_lines_are_strict_json_and_on_disk_at_once(tmp_path):
    with MetricsWriter(tmp_path) as metrics:
        metrics.write(1, loss=0.5, evaluations=2)
        metrics.write(2, loss=math.nan)
        text = (tmp_path / "metrics.jsonl").read_text()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert lines == [{"step": 1, "loss": 0.5, "evaluations": 2}, {"step": 2, "loss": None}]
    assert read_metrics(tmp_path) == lines


def test_tensorboard_events_are_written(tmp_path):
    with MetricsWriter(tmp_path) as metrics:
        metrics.write(1, loss=0.5)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()


def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path):
    with MetricsWriter(tmp_path) as metrics:
        for step in (10, 20, 30):
            metrics.write(step, loss=1.0)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "lo')  # the machine went down
    with pytest.warns(UserWarning, match=r"metrics\.jsonl: broken lines are left out: 4"):
        assert [record["step"] for record in read_metrics(tmp_path)] == [10, 20, 30]
    with pytest.warns(UserWarning, match="left out: 4"):
        metrics = MetricsWriter(tmp_path, step=20)
    with metrics:
        metrics.write(30, loss=2.0)
    assert [tuple(record.values()) for record in read_metrics(tmp_path)] == [
        (10, 1.0),
        (20, 1.0),
        (30, 2.0),
    ]


def test_a_folder_without_metrics_has_none(tmp_path):
    assert read_metrics(tmp_path) == []


def test_broken_lines_are_dropped_aloud_and_all_others_stay(tmp_path):
    with MetricsWriter(tmp_path) as metrics:
        for step in (10, 20, 30):
            metrics.write(step, loss=1.0)
    path = tmp_path / "metrics.jsonl"
    first, *others = path.read_bytes().splitlines()
    broken = [b"\xff\xfe{", b"[1]", b'{"loss": 1}', b'{"step": "10"}', b"[" * 100_000]
    path.write_bytes(b"\n".join([first, *broken, *others]))
    with pytest.warns(UserWarning, match="broken lines are left out: 2, 3, 4, 5, 6"):
        metrics = MetricsWriter(tmp_path, step=30)
    metrics.close()
    assert path.read_bytes().splitlines() == [first, *others]
    assert [record["step"] for record in read_metrics(tmp_path)] == [10, 20, 30]


def test_what_a_resumed_run_finds_again_is_there_once(tmp_path):
    with MetricsWriter(tmp_path) as metrics:
        metrics.write(10, loss=1.0)
        metrics.write(10, test_loss=3.0)
    with MetricsWriter(tmp_path, step=10) as metrics:
        metrics.write(10, test_loss=4.0)
        metrics.write(20, loss=0.5)
    assert read_metrics(tmp_path) == [
        {"step": 10, "loss": 1.0},
        {"step": 10, "test_loss": 4.0},
        {"step": 20, "loss": 0.5},
    ]


def test_a_run_that_begins_has_no_lines_of_one_before(tmp_path):
    for _ in range(2):
        with MetricsWriter(tmp_path) as metrics:
            metrics.write(0, loss=1.0)
    assert len(read_metrics(tmp_path)) == 1


def write_to_a_full_disk(folder):
    with MetricsWriter(folder) as metrics:
        metrics._file.close()
        metrics._file = open("/dev/full", "w")  # noqa: SIM115
        metrics.write(1, loss=1.0)


def test_a_full_disk_is_named_with_the_file(tmp_path):
    with pytest.raises(OSError, match=r"No space left on device: '.*metrics\.jsonl'"):
        write_to_a_full_disk(tmp_path)
