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
    assert [record["step"] for record in read_metrics(tmp_path)] == [10, 20, 30]
    with MetricsWriter(tmp_path, step=20) as metrics:
        metrics.write(30, loss=2.0)
    assert [tuple(record.values()) for record in read_metrics(tmp_path)] == [
        (10, 1.0),
        (20, 1.0),
        (30, 2.0),
    ]


def test_a_folder_without_metrics_has_none(tmp_path):
    assert read_metrics(tmp_path) == []
