"""Every method follows the same trajectory on every mesh. The programs run with 8 CPU devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
STORED = ROOT / "tests" / "models" / "stored"
ON_THREE_AXES = [
    ("mezo, packed signs", "mezo, sphere", "mezo, coordinate", "mezo_adam"),
    ("mezo_adam, replayed", "zo_sgd", "zo_sign_sgd"),
    ("mezo, factored", "mezo, bases", "ar1_zo", "zo_rmsprop"),
    ("r_adazo", "zoar", "zo_adamm"),
    ("conmezo", "mezo_gv", "kerzoo", "sparse_mezo"),
    ("dizo", "zo_adamu", "unbiased_zo"),
    ("eggroll", "fzoo", "hizoo", "lozo"),
    ("meazo", "spsa", "subzero", "tezo", "zo_mopi"),
    ("p_gap", "zo_hgd", "mezo_svrg", "grzo", "agzo"),
]
# Those that draw, evaluate or apply directions in ways of their own. The others differ from them in
# what is done to the entries of an update, or to directions once they are drawn.
ON_MESHES_OF_ONE_AXIS = [("mezo", "mezo_bcd"), ("zo_muon", "loren")]
# Half the bytes of the smallest matrix of the model; a layer's activations take less.
PARAMS_SIZED = 4096


def run(script: str, *arguments: str) -> str:
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("methods", ON_THREE_AXES, ids=lambda group: group[-1])
def test_methods_follow_one_device(methods):
    check(methods, ["2x2x2"])


@pytest.mark.slow
@pytest.mark.parametrize("methods", ON_MESHES_OF_ONE_AXIS, ids=lambda group: group[-1])
def test_methods_follow_one_device_on_meshes_of_one_axis(methods):
    check(methods, ["2x2x2", "query=8", "model=8"])


def check(methods, meshes):
    """Draws are the same, and losses differ by the order of their sums: a part in 1e6 of a step."""
    lines = run("mesh_steps.py", ";".join(meshes), *methods).splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == len(meshes) * len(methods) > 0
    for row in rows:
        assert row["apart"] < 1e-4, row
        assert row["moved"] > 0.01, row
        gathered = [one for one in row["collectives"] if one[0] in ("all-gather", "all-to-all")]
        # In the branch that perturbs it, XLA lays one matrix of the active block otherwise: as it
        # does in plain JAX, for two points and a conditional product.
        limit = 2 * PARAMS_SIZED if row["method"] == "mezo_bcd" else PARAMS_SIZED
        # ZO-HGD draws coordinates from one vector of all entries, which lies everywhere.
        limit = np.inf if row["method"] == "zo_hgd" else limit
        assert not [one for one in gathered if one[1] >= limit], row


@pytest.mark.slow
def test_rows_of_a_table_cut_between_them_are_gathered_by_groups():
    """There XLA aborts the process from jax 0.11 on; see `zojax._mesh.uncut_along`."""
    rows = [json.loads(line) for line in run("mesh_rows.py").splitlines()]
    assert len(rows) == 2
    for row in rows:
        np.testing.assert_allclose(row["found"], row["alone"], rtol=1e-5)
        assert np.ptp(row["alone"]) > 1e-3, row


def test_every_style_of_program_follows_one_device():
    rows = [json.loads(line) for line in run("mesh_styles.py").splitlines()]
    assert len(rows) == 11
    for row in rows:
        assert row["apart"] < 1e-4, row
        assert row["moved"] > 0.01, row


def test_layers_that_send_are_run_alike_on_all_devices():
    """A device that ran a layer once, for points that are equal there, would spoil the sums."""
    rows = [json.loads(line) for line in run("mesh_layers.py").splitlines()]
    assert len(rows) == 3
    for row in rows:
        (pair,) = row["lazy"]
        assert abs(pair[0] - pair[1]) > 1e-2, row
        assert pair == pytest.approx(row["materialized"][0], rel=1e-5), row


def test_a_checkpoint_of_eight_devices_continues_on_fewer(tmp_path):
    rows = [json.loads(line) for line in run("mesh_resume.py", str(tmp_path)).splitlines()]
    assert [row["devices"] for row in rows] == [1, 2, 4]
    for row in rows:
        assert row["restored"] == 0.0, row
        assert row["apart"] < 1e-4, row


def test_a_step_sends_numbers_besides_what_its_forwards_send():
    *rows, last = [json.loads(line) for line in run("mesh_traffic.py").splitlines()]
    assert len(rows) == 4
    for row in rows:
        assert row["step"] - row["forwards"] <= 1024, row
    assert rows[1]["forwards"] > 1e6  # tensor parallel: activations of eight pairs
    assert rows[2]["forwards"] > 1e6  # stored in parts: weights
    assert last == {"agreed": 3.0}


def test_a_matrix_stored_in_parts_is_gathered_block_by_block():
    rows = [json.loads(line) for line in run("mesh_blocks.py").splitlines()]
    assert [row["cut"] for row in rows] == ["rows", "rows", "columns", "columns"]
    assert {row["law"] for row in rows} == {"dense", "factored"}
    for row in rows:
        assert row["apart"] < 1e-5, row
        assert 0 < row["largest"] <= row["bytes"] / 8, row
        assert not row["custom"], row


def test_rules_of_placement_cut_every_family():
    folders = [str(folder) for folder in sorted(STORED.iterdir()) if folder.is_dir()]
    rows = [json.loads(line) for line in run("mesh_families.py", *folders).splitlines()]
    assert len(rows) == 2 * len(folders) >= 18
    for row in rows:
        assert row["apart"] < 1e-5, row
        assert row["cut"] > 0.75, row


def test_draws_are_bit_equal_however_a_leaf_is_cut():
    assert run("mesh_draws.py") == ""


def test_roundings_are_bit_equal_however_a_leaf_is_cut():
    assert run("mesh_roundings.py") == ""
