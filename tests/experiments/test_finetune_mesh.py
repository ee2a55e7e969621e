"""The main job on meshes: what one mesh trains is what another one trains, and goes on from."""

import json
import os
import sys

import jax
import numpy as np
import pytest
import yaml
from flax import nnx
from started import output_of

from experiments._layout import Layout, parse_mesh
from experiments._settings import Settings
from zojax import models
from zojax.training import read_metrics

# Whole runs in one process with 8 devices, each by the words of a command line.
RUNS = """
import json, sys
import tyro
from experiments.finetune import Command, finetune

for words in json.loads(sys.argv[1]):
    finetune(tyro.cli(Command, args=words).settings)
"""
TENSOR = ("--mesh", "data=2,model=4", "--shard", "tensor")
STORED = ("--mesh", "data=4,model=2", "--shard", "fsdp")
QUERIES = ("--mesh", "data=2,query=2,model=2", "--shard", "tensor")


@pytest.fixture(scope="module")
def folders(model_folder, task_folder, tmp_path_factory):
    """Of four runs: as without any flag, on two meshes one after the other, and on a third."""
    root = tmp_path_factory.mktemp("runs")

    def words(name, *flags, steps=6):
        given = {"model": model_folder, "task": task_folder, "out": root / name, "steps": steps}
        given |= {"batch-size": 8, "eval-every": 3, "num-queries": 2, "learning-rate": 1e-2}
        pairs = ((f"--{flag}", str(value)) for flag, value in given.items())
        return [word for pair in pairs for word in pair] + list(flags)

    runs = [
        words("plain"),
        words("moved", *TENSOR, steps=3),
        words("moved", *STORED, "--resume"),
        words("queries", *QUERIES),
    ]
    devices = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    environment = {"XLA_FLAGS": devices, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.getcwd()}
    output_of([sys.executable, "-c", RUNS, json.dumps(runs)], **environment)
    return root


def losses(folder):
    """(step, name) -> value; a run that was continued has more of them."""
    names = ("train_loss", "validation_loss", "test_loss")
    records = read_metrics(folder)
    return {(r["step"], name): r[name] for r in records for name in names if name in r}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moved", "queries"])
def test_a_run_on_a_mesh_is_that_of_plain_data_parallelism(folders, name):
    """Losses at every step up to the order of sums; and the model that is written."""
    plain, other = (losses(folders / run) for run in ("plain", name))
    assert plain.keys() <= other.keys()
    for what, value in plain.items():
        np.testing.assert_allclose(other[what], value, rtol=1e-4, err_msg=what)
    start, *ends = (
        nnx.state(models.from_pretrained(folder), nnx.Param)
        for folder in (
            yaml.safe_load((folders / "plain" / "settings.yaml").read_text())["model"],
            *(folders / run / "model" for run in ("plain", name)),
        )
    )

    def check(start, plain, other):
        way = np.abs(plain - start).max()
        assert way > 0
        np.testing.assert_allclose(other, plain, rtol=0, atol=1e-3 * way)

    jax.tree.map(check, start, *ends)


def test_a_mesh_is_its_axes_in_their_order():
    assert list(parse_mesh("model=4, data=2").items()) == [("data", 2), ("model", 4)]


@pytest.mark.parametrize(
    "text", ["", "data", "data=0", "data=2,data=2", "rows=2", "data=2;model=2"]
)
def test_what_is_no_mesh_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"mesh must name axes of data, query, model.*data=2,mod"):
        parse_mesh(text)


def test_devices_that_are_not_there_are_named():
    with pytest.raises(ValueError, match=r"mesh data=2,model=4 has 8 devices, but there are 1;"):
        Layout(8, {"data": 2, "model": 4}, "tensor")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shard": "tensor"}, "shard tensor cuts products over the axis model; got mesh None"),
        ({"mesh": "data=2,model=4"}, "an axis model, which shard none does not use"),
        ({"mesh": "query=2", "shard": "fsdp"}, "over the axis data or model; got mesh 'query=2'"),
        ({"mesh": "query=2", "num_queries": 3}, "num_queries 3 cannot be shared out evenly among"),
        ({"mesh": "query=2", "method": "adamw"}, "directions, and method 'adamw' has none"),
        ({"mesh": "data=2", "shard": "zero"}, "shard 'zero' is unknown; choose from none, fsdp"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Settings(**settings)
