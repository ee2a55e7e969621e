"""A disk that takes no more: the error says so, and what was saved before stays."""

import contextlib
import resource

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zojax.training import Checkpoints, write_atomically

# What a file may not exceed; the system then says that it is too large, as it says of a full disk.
LARGEST = 50_000


@contextlib.contextmanager
def full_disk():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_that_does_not_fit_is_named_and_those_before_stay(tmp_path):
    # Numbers that no compression makes small.
    params = {"w": jax.random.normal(jax.random.key(0), (200, 200))}
    state = {"count": jnp.int32(3)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, params, state, loss=0.5)
    with full_disk(), pytest.raises(OSError, match=r"File too large: '.*/2'"):
        save_second(tmp_path, params, state)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest_step == 1
        (restored,) = checkpoints.restore(1, params=params)
        checkpoints.save(2, params, state, loss=0.4)  # there is room again
        assert checkpoints.best_step == 2
    np.testing.assert_array_equal(restored["w"], params["w"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def save_second(folder, params, state):
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(2, params, state, loss=0.4)


def test_a_file_that_does_not_fit_leaves_the_one_before(tmp_path):
    path = tmp_path / "result.json"
    write_atomically(path, "before")
    with full_disk(), pytest.raises(OSError, match=r"File too large: '.*result\.json'"):
        write_atomically(path, "x" * 2 * LARGEST)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
