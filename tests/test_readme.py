"""The README: its code runs and learns, its commands and tables agree with the repository."""

import dataclasses
import importlib.util
import os
import re
import tomllib
from pathlib import Path

import jax
import pytest
from flax import nnx

import zojax.methods
from experiments._processes import Processes
from experiments.finetune import Command, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


COMMANDS = [block.strip() for block in blocks("sh")]
(MODELS,) = [block for block in blocks("python") if "from_pretrained" in block]
(DEVICES,) = [block for block in blocks("python") if "make_mesh" in block]
(COPY,) = [block for block in blocks("python") if "copy=True" in block]
(OWN,) = [block for block in blocks("python") if "zojax.Estimator(" in block]
(TEST_COMMAND,) = [command for command in COMMANDS if "pytest" in command]
SEPARATE = (MODELS, DEVICES, COPY, OWN)


def test_the_python_blocks_run_in_order_and_both_ways_the_loss_falls():
    names = {}
    model, loop, parts = [block for block in blocks("python") if block not in SEPARATE]
    assert sum(1 for line in model.splitlines() if line) == 12
    exec(model, names)
    start = jax.device_get(names["params"])
    for text in ("", parts):  # the ready method of the first block, then the chain of parts
        exec(text, names)
        names["params"] = jax.tree.map(jax.numpy.array, start)
        exec(loop, names)
        data = names["x"], names["y"]
        assert names["loss"](names["params"], *data) < 0.3 * names["loss"](start, *data)
        assert names["value"].shape == ()


def test_the_block_about_devices_goes_on_from_there():
    names = {}
    model, loop, _ = [block for block in blocks("python") if block not in SEPARATE]
    for text in (model, loop):
        exec(text, names)
    before = names["loss"](names["params"], names["x"], names["y"])
    exec(DEVICES, names)
    assert names["loss"](names["params"], names["x"], names["y"]) < 2 * before
    assert int(names["state"][0].count) == 504


def test_an_estimator_of_your_own_is_15_lines_and_learns():
    names = {}
    model, loop, _ = [block for block in blocks("python") if block not in SEPARATE]
    exec(model, names)
    exec(OWN, names)
    start = jax.device_get(names["params"])
    exec(loop, names)
    data = names["x"], names["y"]
    assert names["loss"](names["params"], *data) < 0.3 * names["loss"](start, *data)
    assert sum(1 for line in OWN.splitlines() if line) <= 15


def test_a_module_with_state_is_merged_as_a_copy():
    names = {}
    model, *_ = blocks("python")
    exec(model, names)
    exec(COPY, names)
    tx, params = names["tx"], names["normalized"]
    x = jax.numpy.ones((4, 8)).at[0].set(0.0)
    _, state = tx.update(
        None, tx.init(params), params, value_fn=names["loss_of_copy"], x=x, y=x[:, :1]
    )
    assert jax.numpy.isfinite(state[0].value)


def test_the_block_about_models_runs(tmp_path):
    names = {"jax": jax, "nnx": nnx}
    exec(MODELS.replace("runs/model", str(tmp_path)), names)
    assert names["tokens"].shape == (1, 5)
    assert names["logits"].shape[:2] == (1, 4)
    assert len(jax.tree.leaves(names["trained"])) == 4
    assert (tmp_path / "model.safetensors").is_file()


def test_every_command_is_one_line_that_can_be_copied():
    assert all("\n" not in command for command in COMMANDS)


def test_every_module_that_is_run_exists():
    modules = [module for command in COMMANDS for module in re.findall(r"-m ([\w.]+)", command)]
    for module in modules + re.findall(r"`(experiments\.[\w.]+)`", README):
        assert importlib.util.find_spec(module), module


def test_every_extra_and_setting_that_a_command_names_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for command in COMMANDS:
        for extra in re.findall(r"'\.\[(\w+)\]'", command):
            assert extra in extras
    fields = [
        field for kind in (Settings, Command, Processes) for field in dataclasses.fields(kind)
    ]
    settings = {field.name.replace("_", "-") for field in fields}
    for command in COMMANDS:
        _, found, flags = command.partition("experiments.finetune")
        if found:
            assert set(re.findall(r"--([\w-]+)", flags)) <= settings


def test_ci_runs_the_test_command_as_it_stands():
    script = ROOT / ".ci" / "run"
    lines = [line.strip() for line in script.read_text(encoding="utf-8").splitlines()]
    assert TEST_COMMAND in lines
    assert os.access(script, os.X_OK)


def test_every_link_within_the_repository_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_the_table_of_methods_is_complete():
    rows = re.findall(r"^\| `(\w+)` \(\[file\]\(zojax/methods/_(\w+)\.py", README, re.MULTILINE)
    assert {name for name, _ in rows} == set(zojax.methods.__all__)
    assert all(name == file for name, file in rows)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bzojax\.([a-z]\w*)", README))))
def test_every_name_of_zojax_exists(name):
    assert hasattr(zojax, name) or importlib.util.find_spec(f"zojax.{name}")
