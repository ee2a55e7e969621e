"""The main job, end to end on a tiny random model."""

import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from flax import nnx
from rich.console import Console
from transformers import AutoTokenizer

from experiments._chunks import choose_chunk_size
from experiments.finetune import Result, Settings, finetune
from zojax import models
from zojax.training import Checkpoints, read_metrics


@pytest.fixture(scope="module")
def make_settings(model_folder, task_folder, tmp_path_factory):
    def make(**changes):
        values = {
            "model": str(model_folder),
            "task": str(task_folder),
            "steps": 10,
            "batch_size": 4,
            "learning_rate": 1e-2,
            "sampler": "rademacher",
            "eval_every": 5,
            "out": str(tmp_path_factory.mktemp("run")),
        }
        return Settings(**values | changes)

    return make


@pytest.fixture(scope="module")
def straight(make_settings):
    """Ten steps in one go."""
    return finetune(make_settings())


@pytest.fixture(scope="module")
def interrupted(make_settings):
    """Five steps, and five more by a second run."""
    settings = make_settings(steps=5)
    finetune(settings)
    return finetune(make_settings(out=settings.out, resume=True))


def latest_params(result, model_folder):
    _, like = nnx.split(models.from_pretrained(model_folder), nnx.Param)
    with Checkpoints(result.out / "checkpoints") as checkpoints:
        assert checkpoints.latest_step == 10
        return checkpoints.restore(10, params=like)[0]


def test_the_result_has_the_numbers_of_the_run(straight):
    assert isinstance(straight, Result)
    assert straight.loss_evaluations == 20
    assert straight.num_nonfinite == 0
    assert straight.best_step in (5, 10)
    assert 0 <= straight.score_before <= 1
    assert straight.score_after * 7 == pytest.approx(round(straight.score_after * 7))
    assert straight.step_over_forwards > 0
    assert straight.memory_over_inference > 0
    assert straight.loss_after > 0
    assert straight.state_over_weights < 0.1  # numbers beside a model of 2,000 weights
    stored = json.loads((straight.out / "result.json").read_text())
    assert stored["score_after"] == straight.score_after


def test_everything_promised_is_in_the_folder(straight):
    assert (straight.out / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert any((straight.out / "tensorboard").iterdir())
    settings = yaml.safe_load((straight.out / "settings.yaml").read_text())
    assert settings["steps"] == 10
    records = read_metrics(straight.out)
    assert [r["step"] for r in records if "train_loss" in r] == [5, 10]
    assert [r["step"] for r in records if "validation_score" in r] == [0, 5, 10]
    assert [r["step"] for r in records if "test_score" in r] == [0, 10]
    assert all(np.isfinite(r["train_loss"]) for r in records if "train_loss" in r)
    assert records[-1]["test_score"] == straight.score_after


def test_the_exported_model_is_the_best_checkpoint(straight, tokenizer, model_folder):
    model = models.from_pretrained(straight.out / "model")
    graphdef, like = nnx.split(model, nnx.Param)
    with Checkpoints(straight.out / "checkpoints") as checkpoints:
        assert checkpoints.best_step == straight.best_step
        (params,) = checkpoints.restore(straight.best_step, params=like)
    saved = AutoTokenizer.from_pretrained(straight.out / "model")
    text = "the food was not very good It was great"
    assert saved.encode(text) == tokenizer.encode(text)
    ids = jnp.array([tokenizer.encode(text)])
    np.testing.assert_array_equal(model(ids), nnx.merge(graphdef, params)(ids))
    before = models.from_pretrained(model_folder)
    assert not np.array_equal(model(ids), before(ids))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_a_resumed_run_ends_with_the_same_bits(straight, interrupted, model_folder):
    jax.tree.map(
        np.testing.assert_array_equal,
        latest_params(straight, model_folder),
        latest_params(interrupted, model_folder),
    )
    assert interrupted.score_before == straight.score_before
    assert interrupted.score_after == straight.score_after
    assert interrupted.best_step == straight.best_step
    assert interrupted.loss_evaluations == straight.loss_evaluations
    losses = [
        [r["train_loss"] for r in read_metrics(result.out) if "train_loss" in r]
        for result in (straight, interrupted)
    ]
    assert losses[0] == losses[1]


def test_several_updates_in_a_call_make_the_same_run(straight, make_settings, model_folder):
    """Calls of 2, 2 and 1 updates, and again after the evaluation."""
    result = finetune(make_settings(steps_per_call=2))
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4),
        latest_params(result, model_folder),
        latest_params(straight, model_folder),
    )
    assert (result.loss_evaluations, result.num_nonfinite) == (20, 0)
    ours, theirs = (
        [r for r in read_metrics(run.out) if "train_loss" in r] for run in (result, straight)
    )
    for name in ("step", "loss_evaluations", "num_nonfinite"):
        assert [r[name] for r in ours] == [r[name] for r in theirs]
    losses = ([r["train_loss"] for r in records] for records in (ours, theirs))
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_loss_that_is_not_finite_is_counted_and_shown_and_so_are_chunks(make_settings, capsys):
    """With a radius of 1e30 both probes of every query overflow."""
    settings = make_settings(steps=2, radius=1e30, num_queries=2, memory_budget_gib=1.0)
    result = finetune(settings)
    assert result.num_nonfinite == 2
    assert result.score_after == result.score_before
    output = capsys.readouterr().out
    assert "2 non-finite" in output
    assert "updates withheld, loss not finite" in output

    assert output.count("chunks chunk_size 2 of 2: peak ") == 1
    assert "budget 1,073.7 MB" in output
    stored = json.loads((result.out / "chunks.json").read_text())
    assert (stored["chunk_size"], stored["budget_bytes"]) == (2, 2**30)
    assert [size for size, _ in stored["tried"]] == [1, 2]
    assert json.loads((result.out / "result.json").read_text())["chunk_size"] == 2
    # What the run is told when it goes on, without another trial and whatever the budget is now.
    again = dataclasses.replace(settings, memory_budget_gib=1e-9, resume=True)
    assert choose_chunk_size(again, None, None, Console()) == 2
    assert "chunk_size 2 of 2: peak" in capsys.readouterr().out


def test_the_command_explains_itself():
    command = [sys.executable, "-m", "experiments.finetune", "--help"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--learning-rate" in output
    assert "the shipped model on the shipped reviews" in output
