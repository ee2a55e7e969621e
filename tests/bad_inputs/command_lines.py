"""Command lines of the main job; `main` runs in this process."""

import json
import shutil
import sys
from pathlib import Path
from unittest import mock

from experiments import finetune
from tests.bad_inputs.case import BadInput

SHIPPED = Path(__file__).parents[2] / "experiments" / "assets" / "opt-reviews"


def _line(arguments, message, make=None):
    """Arguments, with {folder} for a folder in which `make` has put something."""

    def prepare(folder):
        if make is not None:
            make(folder)
        given = [part.replace("{folder}", str(folder)) for part in arguments.split()]
        argv = ["finetune", *given]
        if "--out" not in given:
            argv += ["--out", str(folder / "run")]

        def call():
            with mock.patch.object(sys, "argv", argv):
                finetune.main()

        return call

    what = f" ({make.__name__})" if make is not None else ""
    return BadInput(f"command line: {arguments}{what}", prepare, message)


def rows(folder):
    (folder / "rows.jsonl").write_text('{"text": "x", "label": 0}\n' * 40 + '{"text": "x"}\n')


def a_file(folder):
    (folder / "file").write_text("")


def a_model(folder):
    shutil.copytree(SHIPPED, folder / "model")


def _model(name, file, content):
    """The shipped model with another file in it."""

    def make(folder):
        a_model(folder)
        path = folder / "model" / file
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content if isinstance(content, str) else json.dumps(content))

    make.__name__ = name
    return make


def a_tokenizer_elsewhere(folder):
    a_model(folder)
    path = folder / "model" / "tokenizer.json"
    path.rename(folder / "tokenizer.json")
    path.symlink_to("../tokenizer.json")


def a_run(folder):
    """The folder of a run, whose settings are cut off."""
    (folder / "run").mkdir()
    (folder / "run" / "settings.yaml").write_text("{")


def a_finished_run(folder):
    a_run(folder)
    (folder / "run" / "result.json").write_text("{}")


CASES = [
    _line("--method adam", "adam.*--method.*mezo"),
    _line("--sampler cauchy", "cauchy.*--sampler.*gaussian"),
    _line("--dtype int8", "int8.*--dtype.*float32"),
    _line("--steps 0", "steps must be at least 1; got 0"),
    _line("--steps many", "steps.*many"),
    _line("--steps 1e3", "steps.*1e3"),
    _line("--batch-size -1", "batch_size must be at least 1; got -1"),
    _line("--eval-every 0", "eval_every must be at least 1; got 0"),
    _line("--learning-rate nan", "learning_rate must be above 0 and finite; got nan"),
    _line("--learning-rate -1e-3", "learning_rate must be above 0 and finite; got -0.001"),
    _line("--radius inf", "radius must be above 0 and finite; got inf"),
    _line("--num-queries 0", "num_queries must be at least 1; got 0"),
    _line("--method ar1_zo --num-queries 2", "num_queries 2 does not go with method 'ar1_zo'"),
    _line("--chunk-size 0", "chunk_size must be at least 1, or auto; got 0"),
    _line("--memory-budget-gib 0", "memory_budget_gib must be above 0 and finite; got 0"),
    _line("--chunk-size 2 --memory-budget-gib 1", "got chunk_size 2 as well"),
    _line("--method adamw --radius 1e-3", "radius does not go with method 'adamw'"),
    _line("--method adamw --objective accuracy", "objective 'accuracy' has no gradient"),
    _line("--steps-per-call 11", "steps_per_call must lie between 1 and 10"),
    _line("--seed -1", "seed must be at least 0; got -1"),
    _line("--rank 0 --adapter lora", "rank must be at least 1; got 0"),
    _line("--prefix-length 0 --adapter prefix", "prefix_length must be at least 1; got 0"),
    _line("--scale 0 --adapter lora", "scale must be above 0 and finite; got 0"),
    _line("--mesh data=0", "mesh must name axes of .*; got 'data=0'"),
    _line("--mesh rows=2", "mesh must name axes of .*; got 'rows=2'"),
    _line("--mesh data=64", "mesh data=64 has 64 devices, but there are"),
    _line("--shard tensor", "shard tensor .* got mesh None: say --mesh model=N"),
    _line("--num-processes 0", "num_processes must be at least 1; got 0"),
    _line("--num-processes 3", "batch_size 16 cannot be shared out .* num_processes = 3"),
    _line("--process-id 1", "process_id came without num_processes"),
    _line("--coordinator-address here --num-processes 2 --process-id 0", "HOST:PORT"),
    _line("--unknown 1", "unknown"),
    _line("--resume", "holds no run to resume"),
    _line("--task nowhere", "error: task 'nowhere' is unknown: neither one of"),
    _line("--task {folder}", r"error: task: .*train\.jsonl is missing"),
    _line("--task {folder}/rows.jsonl", r'rows\.jsonl, line 41: field "label" is missing', rows),
    _line("--task sst2@{folder}/none", "there is no such folder"),
    _line("--template {text}", r"error: template must end in \{option\}"),
    _line("--options bad", "error: options must be at least two different words"),
    _line("--batch-size 10000", "batch_size 10000 is larger than the train split"),
    _line("--num-test 0", "error: num_test must be at least 1; got 0"),
    _line("--model {folder}/none", "is not a folder|no tokenizer can be read"),
    _line("--model {folder}", "has no config.json, so it is not a Hugging Face checkpoint"),
    _line("--max-length 100000", "max_length must lie between 3 and .*; got 100000"),
    _line("--adapter lora --targets nothing_like_it", "nothing_like_it"),
    _line("--objective f1", "objective 'f1' does not go with a task of the kind classification"),
    _line("--out {folder}/file", "file' is not a folder; choose another", a_file),
    _line("--resume", r"settings\.yaml is damaged; it must hold", a_run),
    _line("--steps 1", "already holds a run; continue it with --resume", a_finished_run),
    _line(
        "--model {folder}/model",
        r"config\.json: vocab_size must be an integer",
        _model("a config of another type", "config.json", {"model_type": "opt", "vocab_size": "x"}),
    ),
    _line(
        "--model {folder}/model",
        "no tokenizer can be read there",
        _model("a broken tokenizer", "tokenizer.json", "{"),
    ),
    _line(
        "--model {folder}/model",
        "no tokenizer can be read there",
        _model("a tokenizer of nonsense", "tokenizer.json", {"version": "1.0", "model": 7}),
    ),
    _line(
        "--model {folder}/model",
        "has no weights; looked for model.safetensors",
        _model("no weights", "model.safetensors", None),
    ),
    _line(
        "--model {folder}/model",
        r"tokenizer\.json leads to .* outside of the checkpoint",
        a_tokenizer_elsewhere,
    ),
]
