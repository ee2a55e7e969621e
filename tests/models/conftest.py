"""What the tests of checkpoint files share."""

import shutil

import pytest
from stored_checkpoints import FIXTURES


@pytest.fixture
def folder(tmp_path):
    """A copy of a stored checkpoint, free to be damaged."""
    return shutil.copytree(FIXTURES / "pre_norm", tmp_path / "checkpoint")
