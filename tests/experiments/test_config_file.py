"""Settings from YAML files, and to them."""

import dataclasses

import pytest
import tyro

from experiments._config_file import to_yaml, with_config
from experiments.finetune import Command, Settings


@pytest.fixture
def read(tmp_path):
    """The settings of a command with a file of this text and these flags."""

    def read(text, *flags):
        path = tmp_path / "run.yaml"
        path.write_text(text, encoding="utf-8")
        return tyro.cli(Command, args=with_config(["--config", str(path), *flags])).settings

    return read


EVERYTHING = Settings(
    model="a model",
    template="{text}\n\tIt — was: {option}",
    options=("no", "yes", "1e-4", "null"),
    num_train=7,
    method="zo_sgd",
    learning_rate=1e-7,
    radius=3e-5,
    adapter="lora",
    targets=("q_proj",),
    dtype="bfloat16",
    chunk_size=5,
)


@pytest.mark.parametrize("settings", [Settings(), EVERYTHING], ids=["default", "everything"])
def test_what_a_run_writes_makes_the_same_settings(settings, read):
    """Texts that YAML has a meaning for stay texts, and numbers keep all of their bits."""
    assert read(to_yaml(settings)) == settings


def test_the_folder_is_not_part_of_it(read):
    text = to_yaml(Settings(out="runs/first", resume=True))
    assert read(text, "--out", "runs/second") == Settings(out="runs/second")


def test_flags_win_wherever_they_stand(read):
    text = "steps: 5\nlearning_rate: 1e-4\noptions: [no, yes]\n"
    asked = read(text, "--steps", "6", "--options", "a", "b", "c")
    assert (asked.steps, asked.learning_rate, asked.options) == (6, 1e-4, ("a", "b", "c"))


def test_names_may_be_written_as_the_flags_are(read):
    assert read("eval-every: 7\nresume: true\nradius: null\n") == dataclasses.replace(
        Settings(), eval_every=7, resume=True
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 1", r"run\.yaml: 'learning_rat' is no setting; did you mean learning_rate"),
        ("qqq: 1", "'qqq' is no setting; --help lists all settings"),
        ("steps: {a: 1}", r"steps must be one value, or a list of them; got \{'a': '1'\}"),
        ("options: [[a], b]", "options must be one value, or a list of them"),
        ("resume: maybe", "resume must be true or false; got 'maybe'"),
        ("- steps", "must hold settings by name, such as 'steps: 600'"),
        ("", "must hold settings by name"),
        ("steps: [", "is not YAML: "),
    ],
)
def test_a_file_that_cannot_be_used_is_named(text, message, read):
    with pytest.raises(ValueError, match=message):
        read(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.yaml cannot be read: No such file"):
        with_config(["--config", str(tmp_path / "nothing.yaml")])


def test_a_value_of_the_wrong_kind_ends_the_command(read, capsys):
    with pytest.raises(SystemExit):
        read("steps: many")
    assert "many" in capsys.readouterr().err


def test_without_a_file_the_arguments_stay_as_they_are():
    assert with_config(["--steps", "3", "--help"]) == ["--steps", "3", "--help"]
