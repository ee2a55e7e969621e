"""Checkpoints whose files are not those that were written."""

import random
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.benchmarks import _faults_corruption as faults
from zojax.training import CheckpointError, Checkpoints
from zojax.training._manifest import MANIFEST

DAMAGES = {d.name: d for d in faults.damages(offsets=1, rng=random.Random(0))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return faults.make_checkpoints(tmp_path_factory.mktemp("checkpoints") / "whole")


@pytest.mark.parametrize("name", ["params", "state", "metrics", "_CHECKPOINT_METADATA", MANIFEST])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_the_checkpoint_before_is_used(name, damage, whole):
    folder, trees = whole
    files = [file for file in faults.files_of(folder) if Path(file).parts[0] == name]
    assert faults.detected(folder, max(files, key=len), DAMAGES[damage], trees)


@pytest.fixture
def copy(whole, tmp_path):
    return Path(shutil.copytree(whole[0], tmp_path / "copy"))


def break_both(folder):
    for step in (faults.BEFORE, faults.NEWEST):
        (folder / str(step) / "_CHECKPOINT_METADATA").write_text("{}")


def test_where_none_is_whole_all_stay_and_an_error_says_so(copy):
    break_both(copy)
    for _ in range(2):
        with pytest.raises(
            CheckpointError, match=r"none of .* is whole \(1: _CHECKPOINT_METADATA "
        ):
            Checkpoints(copy)
    assert {"1", "2"} <= {path.name for path in copy.iterdir()}


def test_a_save_that_was_cut_short_is_set_aside(copy):
    """A process that was killed between the files and their manifest."""
    for step in (faults.BEFORE, faults.NEWEST):
        (copy / str(step) / MANIFEST).unlink()
    with pytest.warns(UserWarning, match=r"moved to broken/\d: manifest.sha256 is missing") as said:
        checkpoints = Checkpoints(copy)
    with checkpoints:
        assert checkpoints.latest_step is None
    assert len(said) == 2
    assert sorted(path.name for path in (copy / "broken").iterdir()) == ["1", "2"]


def test_one_that_breaks_while_the_folder_is_open_is_not_restored(copy, whole):
    trees = whole[1]
    with Checkpoints(copy) as checkpoints:
        (copy / "2" / "_CHECKPOINT_METADATA").write_text("{}")
        with pytest.raises(CheckpointError, match=r"2 is not whole: _CHECKPOINT_METADATA \(2 b"):
            checkpoints.restore(2, params=trees[2])
        with pytest.warns(UserWarning, match=r"latest whole one is 1"):
            checkpoints.check()
        assert (checkpoints.latest_step, checkpoints.best_step) == (1, 1)
        (params,) = checkpoints.restore(1, params=trees[2])
        checkpoints.save(2, trees[2], {"count": jax.numpy.int32(2)}, loss=0.5)
        assert checkpoints.latest_step == 2
    jax.tree.map(np.testing.assert_array_equal, params, trees[1])


def test_the_manifest_is_what_sha256sum_writes(whole):
    lines = (whole[0] / "2" / MANIFEST).read_text().splitlines()
    assert [line[66:] for line in lines] == [f for f in faults.files_of(whole[0]) if f != MANIFEST]
    assert all(line[64:66] == "  " for line in lines)
