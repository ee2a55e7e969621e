"""Whole runs with the settings of a trainer, on a tiny random model."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import tyro
from flax import nnx

from experiments import _programs, tasks
from experiments._config_file import with_config
from experiments.finetune import Command, Settings, finetune
from zojax import models
from zojax.training import Checkpoints, read_metrics

FAKE_WANDB = """
import json
from pathlib import Path

class Run:
    def __init__(self, dir, id, resume, config, **rest):
        self.id, self.file = id or "new", Path(dir) / "wandb.jsonl"
        self.write({"id": id, "resume": resume, "seed": config["seed"]})

    def write(self, record):
        with self.file.open("a") as file:
            print(json.dumps(record), file=file)

    def log(self, numbers, step):
        self.write({"step": step, **numbers})

    def finish(self, exit_code):
        self.write({"exit_code": exit_code})

def init(**settings):
    return Run(**settings)
"""


@pytest.fixture(scope="module")
def make_settings(model_folder, task_folder, tmp_path_factory):
    def make(**changes):
        values = {"model": str(model_folder), "task": str(task_folder), "steps": 8, "batch_size": 4}
        values |= {"eval_every": 4, "sampler": "rademacher", "learning_rate": 3e-2}
        return Settings(**values | {"out": tmp_path_factory.mktemp("run")} | changes)

    return make


EVERYTHING = {
    "schedule": "cosine",
    "warmup_steps": 2,
    "end_share": 0.1,
    "weight_decay": 0.1,
    "weight_decay_skip": ("bias",),
    "accumulate": 2,
    "ema_decay": 0.5,
    "diagnostics": True,
    "wandb": True,
}


@pytest.fixture(scope="module")
def fake_wandb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    (folder / "wandb.py").write_text(FAKE_WANDB)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield


@pytest.fixture(scope="module")
def straight(make_settings, fake_wandb):
    """Eight steps with everything, in one go."""
    return finetune(make_settings(**EVERYTHING))


def weights(folder):
    return jax.device_get(nnx.state(models.from_pretrained(folder / "model"), nnx.Param))


def numbers(folder):
    """All that is measured and not a speed; a run that goes on begins a new window of ways."""
    left_out = ("per_second", "update_cosine")
    return [
        {name: value for name, value in record.items() if not name.endswith(left_out)}
        for record in read_metrics(folder)
    ]


@pytest.mark.slow
def test_a_dumped_config_and_a_resumed_run_make_the_same_run(straight, make_settings, tmp_path):
    """From the settings.yaml of the first, four steps and then the other four: bit by bit."""
    path = str(straight.out / "settings.yaml")

    def asked(*flags):
        args = with_config(["--config", path, "--out", str(tmp_path / "again"), *flags])
        return tyro.cli(Command, args=args).settings

    assert dataclasses.replace(asked(), out=straight.out) == make_settings(
        **EVERYTHING, out=straight.out
    )
    finetune(asked("--steps", "4", "--decay-steps", "8"))
    again = finetune(asked("--resume"))
    jax.tree.map(np.testing.assert_array_equal, weights(again.out), weights(straight.out))
    # The first half had a test of its own at its end.
    found = numbers(again.out)
    kept = [r for r in found if r["step"] != 4 or "test_score" not in r]
    assert kept == numbers(straight.out)
    sent = [json.loads(line) for line in (again.out / "wandb.jsonl").read_text().splitlines()]
    assert [r["resume"] for r in sent if "resume" in r] == [None, "allow"]
    assert [r["id"] for r in sent if "id" in r] == [None, "new"]


@pytest.mark.slow
def test_the_numbers_of_a_run_are_in_its_lines_and_are_sent(straight):
    records = read_metrics(straight.out)
    lines = [record for record in records if "train_loss" in record]
    assert [line["step"] for line in lines] == [4, 8]
    for line in lines:
        assert line["evaluations_per_second"] > 0
        assert line["coefficient_snr"] > 1
        assert np.isfinite(line["curvature"])
        assert "edge_share" in line
    # Two losses an update, of a whole batch, in however many parts.
    assert [line["loss_evaluations"] for line in lines] == [8, 16]
    assert straight.loss_evaluations == 16
    sent = [json.loads(line) for line in (straight.out / "wandb.jsonl").read_text().splitlines()]
    assert [r for r in sent if "step" in r] == records
    assert sent[-1] == {"exit_code": 0}


@pytest.mark.slow
def test_what_is_evaluated_and_exported_is_the_average(straight, model_folder):
    like = nnx.state(models.from_pretrained(model_folder), nnx.Param)
    exported = weights(straight.out)
    with Checkpoints(straight.out / "checkpoints") as checkpoints:
        (params,) = checkpoints.restore(straight.best_step, params=like)
    different = jax.tree.map(lambda a, b: np.any(a != b), exported, jax.device_get(params))
    assert any(jax.tree.leaves(different))


@pytest.mark.slow
def test_parts_of_a_batch_make_the_run_of_the_whole(make_settings, model_folder):
    """Two updates of four examples, and of two and two. Losses up to the roundings of float32."""
    runs = [make_settings(steps=2, radius=1e-2, accumulate=parts) for parts in (1, 2)]
    whole, parts = map(finetune, runs)
    start = jax.device_get(nnx.state(models.from_pretrained(model_folder), nnx.Param))
    way = jax.tree.map(lambda a, b: np.abs(a - b).max(), weights(whole.out), start)
    assert max(jax.tree.leaves(way)) > 1e-3
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-2 * max(jax.tree.leaves(way))),
        weights(parts.out),
        weights(whole.out),
    )
    assert parts.loss_evaluations == whole.loss_evaluations == 4


@pytest.mark.slow
def test_a_run_stops_when_its_patience_is_over(make_settings, monkeypatch):
    """The validation loss is least after the second step; two in a row do not better it."""
    losses = iter([9.0, 5.0, 4.0, 4.5, 4.2, 1.0])

    def scripted(*args, **settings):
        return lambda params, split, watch: tasks.Evaluation(
            0.5, next(losses) if len(split.labels) == 5 else 0.0
        )

    monkeypatch.setattr(_programs, "make_evaluate", scripted)
    settings = make_settings(eval_every=1, patience=2)
    result = finetune(settings)
    steps = [r["step"] for r in read_metrics(settings.out) if "validation_loss" in r]
    assert steps == [0, 1, 2, 3, 4]
    assert (result.best_step, result.loss_evaluations) == (2, 8)
    assert read_metrics(settings.out)[-1]["step"] == 4
    # Nothing is left to do for one that goes on, unless it is told to be more patient.
    finetune(dataclasses.replace(settings, resume=True))
    assert next(losses) == 1.0
