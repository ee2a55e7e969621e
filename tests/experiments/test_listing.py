"""What can be chosen, as the command prints it."""

import pytest

from experiments import finetune, tasks
from experiments._methods import METHODS
from zojax import models


@pytest.fixture
def answer(monkeypatch, capsys):
    def run(*flags):
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setattr("sys.argv", ["finetune", *flags])
        finetune.main()
        return capsys.readouterr().out

    return run


def first_words(text):
    return {line.split()[0] for line in text.splitlines() if line.strip()}


def test_methods_have_a_row_each_that_says_what_they_are(answer):
    text = answer("--list-methods")
    assert set(METHODS) <= first_words(text)
    assert "zeroth-order SGD at the memory of inference" in text
    assert "gradients by backpropagation" in text
    assert "--task" not in text


def test_all_lists_can_be_asked_for_at_once(answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = answer("--list-methods", "--list-tasks", "--list-models")
    named = {task.name for task in tasks.describe()}
    assert named | set(METHODS) | set(models.families()) | {"opt-reviews"} <= first_words(text)
    assert "519,936" in text
    assert list(tmp_path.iterdir()) == []  # no run was made
