"""Where the experiments keep what they compiled."""

import os

import jax
import pytest

from experiments._compilation_cache import cache_folder, keep_compiled_programs

FOLDER, SECONDS = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """What is told jax, which never hears of it."""
    options = {}
    monkeypatch.setattr(jax.config, "update", options.__setitem__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in (FOLDER, SECONDS):
        monkeypatch.setenv(name.upper(), "")  # so that it is as before in the end
        monkeypatch.delenv(name.upper())
    return options


def test_programs_are_kept_in_the_cache_of_the_user(chosen, tmp_path):
    keep_compiled_programs()
    assert chosen[FOLDER] == str(tmp_path / "zojax")
    assert 0 < chosen[SECONDS] < 1
    assert os.environ[FOLDER.upper()] == chosen[FOLDER]
    assert float(os.environ[SECONDS.upper()]) == chosen[SECONDS]


@pytest.mark.parametrize("name", [FOLDER, SECONDS])
def test_the_environment_goes_first(chosen, monkeypatch, name):
    monkeypatch.setenv(name.upper(), "7")
    keep_compiled_programs()
    assert chosen.keys() == {FOLDER, SECONDS} - {name}
    assert os.environ[name.upper()] == "7"


def test_without_a_word_of_the_environment_the_cache_is_at_home(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "zojax"
