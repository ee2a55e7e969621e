"""README and pages: their code runs and learns, their commands agree with the repository."""

import dataclasses
import importlib.util
import os
import re
import tomllib
from pathlib import Path

import jax
import optax
import pytest

import zojax
from experiments._processes import Processes
from experiments.finetune import Command, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Those whose code goes on where that of the README ends, in the order in which it is run.
PAGES = ["README.md", "docs/your_model.md", "docs/parts.md", "docs/devices.md", "CONTRIBUTING.md"]
TEXT = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


COMMANDS = [block.strip() for block in blocks("sh")]
(TEST_COMMAND,) = {command for command in COMMANDS if "pytest" in command}


def part(text):
    """The block that has a text in it; the README and a page may share it."""
    (found,) = {block for block in blocks("python") if text in block}
    return found


FIRST = blocks("python")[0]
LOOP = part("for _ in range(500)")


@pytest.fixture
def names():
    """What the first block defines."""
    found = {}
    exec(FIRST, found)
    return found


def learns(names):
    """Whether the loop brings the loss down, with the transformation that is there."""
    start = jax.device_get(names["params"])
    exec(LOOP, names)
    data = names["x"], names["y"]
    assert names["value"].shape == ()
    return names["loss"](names["params"], *data) < 0.3 * names["loss"](start, *data)


def test_all_python_blocks_run_in_order_in_one_session(tmp_path):
    """No block takes away what an earlier one closes over: the first step works to the end."""
    names, kept = {}, {}
    for block in blocks("python"):
        exec(block.replace("runs/model", str(tmp_path)), names)
        kept = kept or {name: names[name] for name in ("graphdef", "model", "loss", "tx", "step")}
        assert all(names[name] is value for name, value in kept.items()), block
    assert names["tokens"].shape == (1, 5)
    assert names["logits"].shape[:2] == (1, 4)
    assert len(jax.tree.leaves(names["trained"])) == 4
    assert (tmp_path / "model.safetensors").is_file()
    # 500 steps of the loop, and four of the block about devices.
    assert int(names["state"][0].count) == 504
    data = names["x"], names["y"]
    before = names["loss"](names["params"], *data)
    params, state = jax.device_put((names["params"], names["state"]), jax.devices()[0])
    params, _ = names["step"](params, state, *data)
    assert names["loss"](params, *data) < 2 * before


def test_the_readme_is_short_and_begins_with_the_two_commands():
    assert len(README.splitlines()) <= 200
    first, second = blocks("sh")[:2]
    assert "experiments.finetune --out" in first
    assert second.strip() == TEST_COMMAND


def test_the_first_block_is_short_and_learns(names):
    assert sum(1 for line in FIRST.splitlines() if line) == 12
    assert learns(names)


OTHERS = ["tx_of_parts", "tx_of_two_radii", "tx_of_heavy_tails", "tx_of_filter"]


@pytest.mark.parametrize("name", OTHERS)
def test_other_transformations_take_its_place_and_learn(name, names):
    exec(part(f"{name} ="), names)
    names["tx"] = names[name]
    assert learns(names)


def test_a_normalized_step_is_as_long_for_a_loss_of_any_size(names):
    exec(part("tx_of_heavy_tails ="), names)
    tx, params, loss = names["tx_of_heavy_tails"], names["params"], names["loss"]
    x = jax.numpy.ones((4, 8))
    lengths = [
        optax.tree.norm(
            tx.update(None, tx.init(params), params, value_fn=lambda p, s=scale: s * loss(p, x, x))[
                0
            ]
        )
        for scale in (1.0, 1e6)
    ]
    assert lengths == pytest.approx([0.2, 0.2], rel=1e-5)


def test_the_filter_is_as_its_docstring_says(names):
    """At first the estimate itself, as m = g; then m + K (g - m) with what K is made of."""
    exec(part("tx_of_filter ="), names)
    link = names["filtered"](b1=0.5, b2=0.75)
    first, state = link.update(jax.numpy.array([2.0]), link.init(jax.numpy.zeros(1)))
    assert first == pytest.approx([2.0])
    second, _ = link.update(jax.numpy.array([4.0]), state)
    m, s = [0.5 * 1.0 + 0.5 * 4.0, 0.75 * 0.25 * 1.0**2 + 0.25 * (4.0 - 2.5) ** 2]
    m_hat, s_hat = m / 0.75, s * 0.5 * (1 - 0.5**4) / (1.5 * (1 - 0.75**2))
    expected = m_hat + s_hat / (s_hat + (4.0 - m_hat) ** 2) * (4.0 - m_hat)
    assert second == pytest.approx([expected], rel=1e-5)


def test_an_estimator_of_your_own_is_15_lines():
    assert sum(1 for line in part("zojax.Estimator(").splitlines() if line) <= 15


def test_a_module_with_state_is_merged_as_a_copy(names):
    exec(part("copy=True"), names)
    tx, params = names["tx"], names["normalized"]
    x = jax.numpy.ones((4, 8)).at[0].set(0.0)
    _, state = tx.update(
        None, tx.init(params), params, value_fn=names["loss_of_copy"], x=x, y=x[:, :1]
    )
    assert jax.numpy.isfinite(state[0].value)


def test_every_command_is_one_line_that_can_be_copied():
    assert all("\n" not in command for command in COMMANDS)


def test_every_module_that_is_run_exists():
    modules = [module for command in COMMANDS for module in re.findall(r"-m ([\w.]+)", command)]
    for module in modules + re.findall(r"`(experiments\.[\w.]+)`", TEXT):
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


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bzojax\.([a-z]\w*)", TEXT))))
def test_every_name_of_zojax_exists(name):
    assert hasattr(zojax, name) or importlib.util.find_spec(f"zojax.{name}")
