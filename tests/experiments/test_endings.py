"""How runs end: by signals, without a finite loss, without having moved, or well."""

import errno
import json
import math
import os
import signal
import sys

import jax
import numpy as np
import pytest
from flax import nnx
from started import SECONDS, started

from experiments import _programs, _run, finetune
from experiments._config_file import to_yaml
from experiments._endings import conclude
from experiments._exits import ending_in_words
from experiments._interruption import Stopped
from experiments._run_folder import check_folder
from experiments.finetune import Settings, prepare, train
from zojax import models
from zojax.training import Checkpoints, read_metrics

# That do the same as SIGTERM, but for the exit status.
SIGNALS = (signal.SIGINT, signal.SIGUSR1)


@pytest.fixture(scope="module")
def make_settings(model_folder, task_folder, tmp_path_factory):
    def make(**changes):
        values = {
            "model": str(model_folder),
            "task": str(task_folder),
            "steps": 10,
            "batch_size": 4,
            "learning_rate": 1e-2,
            "sampler": "rademacher",
            "eval_every": 5,
            "out": str(tmp_path_factory.mktemp("run")),
        }
        return Settings(**values | changes)

    return make


def ended(settings):
    """How a run ended, what its result.json says of it, and its steps."""
    outcome = train(settings, prepare(settings))
    stored = json.loads((settings.out / "result.json").read_text())
    assert (stored["ended"], stored["explanation"]) == outcome.ending
    steps = [r["step"] for r in read_metrics(settings.out) if "train_loss" in r]
    return outcome.ending, stored, steps


def test_a_run_without_a_finite_loss_stops_and_says_why(make_settings, capsys):
    """With a radius of 1e30 both probes overflow."""
    settings = make_settings(steps=100, eval_every=50, radius=1e30, nonfinite_patience=15)
    ending, _, steps = ended(settings)
    assert ending.status == 3
    assert ending.explanation.startswith("the losses of 20 updates in a row, steps 1 to 20, were")
    assert "the weights are finite; try a smaller --radius (1e+30) or --learning-rate (0.01)" in (
        ending.explanation
    )
    assert steps == [10, 20]
    with Checkpoints(settings.out / "checkpoints") as checkpoints:
        assert checkpoints.latest_step == 20
    said = " ".join(capsys.readouterr().out.split())
    assert "non-finite: the losses of 20 updates in a row" in said


@pytest.mark.parametrize("change", [{"radius": 1e-30}, {"learning_rate": 1e-30}])
def test_a_run_that_moved_nothing_says_so(change, make_settings):
    ending, stored, _ = ended(make_settings(steps=2, **change))
    assert (ending.ended, ending.status) == ("unmoved", 3)
    assert "after 2 updates the weights are where they were" in ending.explanation
    assert stored["loss_after"] == stored["loss_before"]


def test_a_run_whose_validation_losses_are_nan_ends_in_words(make_settings, monkeypatch):
    evaluate = _programs.make_evaluate

    def without_losses(*arguments, **settings):
        judge = evaluate(*arguments, **settings)
        return lambda *given, **watched: judge(*given, **watched)._replace(loss=math.nan)

    monkeypatch.setattr(_programs, "make_evaluate", without_losses)
    ending, stored, _ = ended(make_settings(steps=2))
    assert (ending.ended, ending.status) == ("non-finite validation", 3)
    assert (stored["loss_before"], stored["loss_after"], stored["best_step"]) == (None, None, 2)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            errno.ENOSPC,
            "error: runs/a/x: No space left on device; make room there, and --resume",
        ),
        (errno.EROFS, "error: runs/a/x: Read-only file system; make it writable and use --resume"),
        (errno.EIO, "error: runs/a/x: Input/output error"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(number, words):
    with pytest.raises(SystemExit) as end, ending_in_words():
        raise OSError(number, os.strerror(number), "runs/a/x")
    assert end.value.code.startswith(words)
    assert end.value.__cause__ is None


def test_a_budget_that_turns_out_too_small_is_one_sentence_and_blocks_nothing(make_settings):
    settings = make_settings(steps=2, num_queries=2, memory_budget_gib=1e-9)
    with pytest.raises(SystemExit, match=r"^error: budget_bytes 1 is too small"), ending_in_words():
        train(settings, prepare(settings))
    check_folder(settings.out, to_yaml(settings), resume=False)


def test_a_run_of_which_some_updates_were_withheld_is_finished():
    facts = {"step": 10, "moved": True, "best_loss": 0.5}
    ending = conclude(Settings(), num_nonfinite=3, **facts)
    assert ending == ("finished", "all 10 updates were made, of which 3 were withheld")
    assert ending.status == 0


@pytest.fixture(scope="module")
def straight(make_settings):
    settings = make_settings()
    return settings, train(settings, prepare(settings))


def weights(settings):
    _, like = nnx.split(models.from_pretrained(settings.model), nnx.Param)
    with Checkpoints(settings.out / "checkpoints") as checkpoints:
        assert checkpoints.latest_step == 10
        return checkpoints.restore(10, params=like)[0]


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(n, marks=pytest.mark.slow) for n in SIGNALS)],
)
def test_a_signal_is_obeyed_after_the_step_and_its_checkpoint(
    number, make_settings, straight, monkeypatch, capsys
):
    settings = make_settings()
    groups_from = _run.Run.groups_from

    def interrupted(run, step):
        for group in groups_from(run, step):
            if group.last == 3:
                signal.raise_signal(number)  # as it comes in the middle of step 3
            yield group

    with monkeypatch.context() as patch:
        patch.setattr(_run.Run, "groups_from", interrupted)
        with pytest.raises(SystemExit) as end, ending_in_words():
            train(settings, prepare(settings))
    assert end.value.code == (130 if number == signal.SIGINT else 0)
    assert "stopped at step 3; --resume continues from there" in capsys.readouterr().out
    assert json.loads((settings.out / "result.json").read_text())["ended"] == "stopped by signal"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    ending, _, _ = ended(make_settings(out=settings.out, resume=True))
    assert ending.ended == "finished"
    jax.tree.map(np.testing.assert_array_equal, weights(settings), weights(straight[0]))
    about = [(r["step"], *sorted(r)) for r in read_metrics(settings.out)]
    assert len(about) == len(set(about))


def test_a_signal_before_the_first_step_leaves_nothing_that_blocks_the_next(
    make_settings, monkeypatch
):
    settings = make_settings(steps=2)

    def compiling(*_, **__):
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(finetune, "choose_chunk_size", compiling)
        with pytest.raises(Stopped):
            train(settings, prepare(settings))
    assert ended(settings)[0].ended == "finished"


@pytest.mark.slow
def test_a_second_signal_ends_the_process_at_once(tmp_path):
    script = tmp_path / "script.py"
    # A step that takes for ever, without an instruction of Python in between.
    script.write_text(
        "import threading, experiments._interruption as i\n"
        "with i.Interruption() as interruption, interruption.between_steps():\n"
        "    print('here', flush=True)\n"
        "    lock = threading.Lock(); lock.acquire(); lock.acquire()\n"
    )
    environment = {"PYTHONPATH": os.getcwd(), "JAX_PLATFORMS": "cpu"}
    for first in (signal.SIGINT, signal.SIGUSR1):
        with started([sys.executable, str(script)], **environment) as process:
            assert process.stdout.readline() == "here\n"
            process.send_signal(first)
            if first == signal.SIGUSR1:  # which does not count
                process.send_signal(signal.SIGINT)
            line = process.stdout.readline()
            assert line.startswith("stopping after this step; a second signal ends the process")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=SECONDS)
        assert process.returncode == 143
