"""Weights of 16 bits and fewer in the main job."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from experiments import low_precision
from experiments._precision import warn_of_small_radius
from experiments.finetune import Settings, finetune


@pytest.fixture
def make_settings(model_folder, task_folder, tmp_path):
    def make(name="run", **changes):
        values = {
            "model": str(model_folder),
            "task": str(task_folder),
            "steps": 6,
            "batch_size": 4,
            "learning_rate": 1e-4,
            "eval_every": 3,
            "out": tmp_path / name,
        }
        return Settings(**values | changes)

    return make


def weights(settings):
    return load_file(settings.out / "model" / "model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "precision"), [("bfloat16", "stochastic"), ("float16", "float32_masters")]
)
def test_a_run_that_is_resumed_ends_at_the_same_bits(make_settings, dtype, precision):
    of_run = {"dtype": dtype, "update_precision": precision, "method": "mezo_adam"}
    straight = make_settings("straight", **of_run)
    finetune(straight)
    half = make_settings("half", steps=3, **of_run)
    finetune(half)
    finetune(dataclasses.replace(half, steps=6, resume=True))
    for name, array in weights(straight).items():
        assert array.tobytes() == weights(half)[name].tobytes()
    assert {array.dtype for array in weights(straight).values()} == {jnp.dtype(dtype)}


def test_a_run_says_what_is_lost_and_what_to_do(make_settings, capsys):
    settings = make_settings(
        dtype="bfloat16", update_precision="nearest", learning_rate=1e-9, radius=1e-4
    )
    finetune(settings)
    said = " ".join(capsys.readouterr().out.split())
    assert "radius 0.0001 is lost in rounding on " in said
    assert "layer_norm.scale (typical weight 1.0e+00 in bfloat16: below 3.9e-03 nothing" in said
    assert "take a larger --radius, or --dtype float32" in said
    assert "the first update is lost in rounding on " in said
    assert "take --update-precision stochastic, a larger --learning-rate" in said


def test_nothing_is_said_where_nothing_is_lost(make_settings, capsys):
    finetune(make_settings(dtype="float32"))
    assert "lost in rounding" not in capsys.readouterr().out
    warn_of_small_radius(Console(), {"w": jnp.ones(3, jnp.bfloat16)}, None)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_comparison_prints_and_keeps_its_rows(model_folder, task_folder, results, tmp_path):
    """At a rate at which nearest loses everything, and the others do not."""
    settings = low_precision.Settings(
        steps=3,
        learning_rate=1e-9,
        model=str(model_folder),
        task=str(task_folder),
        batch_size=4,
        out=str(tmp_path / "runs"),
    )
    low_precision.main(settings)
    rows = [json.loads(line) for line in (results / "low_precision.jsonl").read_text().splitlines()]
    found = {(row["weights"], row["updates"]): row for row in rows}
    assert list(found) == [
        ("float32", "nearest"),
        ("bfloat16", "stochastic"),
        ("bfloat16", "nearest"),
        ("bfloat16", "float32_masters"),
    ]
    assert (
        found["bfloat16", "nearest"]["weights moved"] < found["float32", "nearest"]["weights moved"]
    )
    assert found["float32", "nearest"]["points below float32"] == 0
    assert found["bfloat16", "float32_masters"]["state / weights"] > 2


@pytest.mark.parametrize(("quantize", "adapter"), [("int8", "lora"), ("nf4", "prefix")])
def test_an_adapter_beside_quantized_weights(make_settings, quantize, adapter, model_folder):
    """It learns, and the model that is written has the weights that were computed with."""
    settings = make_settings(quantize=quantize, adapter=adapter, dtype="bfloat16")
    result = finetune(settings)
    assert result.num_nonfinite == 0
    assert any((settings.out / "adapter").iterdir())
    whole = load_file(model_folder / "model.safetensors")
    for name, array in weights(settings).items():
        same = np.array_equal(array, whole[name].astype(array.dtype))
        assert same != name.endswith(("proj.weight", "fc1.weight", "fc2.weight")), name
