"""What the main job refuses, and what it says then."""

import shutil

import pytest
from transformers import PreTrainedTokenizerFast

from experiments import finetune as job
from experiments.finetune import Settings, prepare


@pytest.fixture
def settings(model_folder, task_folder, tmp_path):
    def make(**changes):
        values = {"model": str(model_folder), "task": str(task_folder), "batch_size": 4}
        return Settings(**values | {"out": tmp_path / "run"} | changes)

    return make


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "adam"}, "method 'adam' is unknown; choose from mezo"),
        ({"sampler": "cauchy"}, "sampler 'cauchy' is unknown; choose from gaussian, rademacher"),
        ({"dtype": "int8"}, "dtype 'int8' is unknown; choose from float32, bfloat16"),
        ({"update_precision": "up"}, "update_precision 'up' is unknown; choose from stochastic"),
        ({"quantize": "int4"}, "quantize 'int4' is unknown; choose from int8, nf4"),
        ({"quantize": "nf4"}, "and adapter none trains all of them; take --adapter lora or prefix"),
        (
            {"quantize": "nf4", "adapter": "lora", "shard": "fsdp"},
            "quantize 'nf4' keeps weights whole on every device, .* with shard 'fsdp'",
        ),
        ({"steps": 0}, "steps must be at least 1; got 0"),
        ({"num_queries": -1}, "num_queries must be at least 1; got -1"),
        ({"method": "ar1_zo", "num_queries": 2}, "num_queries 2 does not .* takes one direction"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"eval_every": 0}, "eval_every must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"steps_per_call": 0}, "steps_per_call must lie between 1 and 10, .* got 0"),
        ({"steps_per_call": 11}, "steps_per_call must lie between 1 and 10, .* got 11"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and finite; got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0 and finite; got nan"),
        ({"radius": -1e-3}, "radius must be above 0"),
        ({"chunk_size": 0}, "chunk_size must be at least 1, or auto; got 0"),
        ({"memory_budget_gib": 0.0}, "memory_budget_gib must be above 0 and finite; got 0"),
        ({"chunk_size": 2, "memory_budget_gib": 1.0}, r"auto is chosen by; .* leave one of them"),
        ({"method": "adamw", "chunk_size": 2}, "chunk_size does not go with method 'adamw'"),
        ({"seed": -1}, "seed must be at least 0; got -1"),
    ],
)
def test_settings_out_of_range_are_refused_at_once(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changes)


def test_data_and_lengths_that_do_not_fit_are_refused(settings):
    with pytest.raises(ValueError, match="task 'nowhere' is unknown: neither one of"):
        prepare(settings(task="nowhere"))
    with pytest.raises(ValueError, match=r"batch_size 13 is larger than the train split .* 12"):
        prepare(settings(batch_size=13))
    with pytest.raises(ValueError, match=r"max_length must lie between 3 and 20, .*; got 21"):
        prepare(settings(max_length=21))
    assert not settings().out.exists()


def test_a_tokenizer_of_another_model_is_refused(settings, model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_tokens(["more"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"ids up to 16, but the model's vocabulary has only 16"):
        prepare(settings(model=str(folder)))


def test_a_model_without_tokenizer_is_refused(settings, model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder, ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(ValueError, match="the tokenizer there is empty; it takes"):
        prepare(settings(model=str(folder)))


def test_a_folder_that_is_no_model_is_refused(settings, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no config.json, so it is not a Hugging"):
        prepare(settings(model=str(tmp_path)))


def test_the_command_line_names_the_error_without_a_traceback(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["finetune", "--task", "nowhere"])
    with pytest.raises(SystemExit, match="error: task 'nowhere' is unknown"):
        job.main()
    monkeypatch.setattr("sys.argv", ["finetune", "--steps", "0"])
    with pytest.raises(SystemExit):
        job.main()
    assert "steps must be at least 1; got 0" in capsys.readouterr().err
