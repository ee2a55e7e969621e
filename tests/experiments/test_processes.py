"""Several processes make one run: really several, on the loopback address."""

import functools
import json
import os
import re
import shutil
import signal
import sys

import jax
import numpy as np
import pytest
from flax import nnx
from started import SECONDS, free_address, output_of, started

from experiments._inputs import model_source
from zojax import models
from zojax.training import Checkpoints, read_metrics

# The shipped default, briefly: texts of one padded length, so that there is little to compile, and
# signs, which are drawn in no time.
FEW = {"steps": 20, "eval-every": 5, "max-length": 24, "num-dev": 32, "num-test": 32}
FEW |= {"sampler": "rademacher"}
SHORT = [word for name, n in FEW.items() for word in (f"--{name}", str(n))]


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """Programs that all processes share; and none has more devices than it asks for."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
        patch.setenv("JAX_PLATFORMS", "cpu")
        patch.setenv("PYTHONPATH", os.getcwd())
        one = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=1"
        patch.setenv("XLA_FLAGS", one)
        yield


def command(out, *flags):
    return [sys.executable, "-m", "experiments.finetune", *SHORT, "--out", str(out), *flags]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Number of processes -> the folder of their run, and what they said; each is run once."""

    @functools.cache
    def run(number):
        out = tmp_path_factory.mktemp("undisturbed") / str(number)
        return out, output_of(command(out, "--num-processes", str(number)))

    return run


def before():
    return nnx.state(models.from_pretrained(model_source("opt-reviews")), nnx.Param)


def after(out, step=20):
    """Read from the checkpoint by one process with one device, whoever wrote it."""
    with Checkpoints(out / "checkpoints") as checkpoints:
        return checkpoints.restore(step, params=before())[0]


def assert_close(ours, theirs):
    """Within a thousandth of the way from the start, leaf by leaf: sums in another order."""

    def check(start, ours, theirs):
        way = np.abs(np.asarray(theirs) - start).max()
        assert way > 0
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3 * way)

    jax.tree.map(check, before(), ours, theirs)


def test_processes_train_what_one_trains(undisturbed):
    (out, output), (alone, said) = undisturbed(2), undisturbed(1)
    assert "device 1 × cpu\n" in said.replace("  ", " ")
    assert_close(after(out), after(alone))
    ours, theirs = read_metrics(out), read_metrics(alone)
    assert [record["step"] for record in ours] == [record["step"] for record in theirs]
    for name in ("train_loss", "validation_loss", "test_loss"):
        losses = ([r[name] for r in records if name in r] for records in (ours, theirs))
        np.testing.assert_allclose(*losses, rtol=1e-4)

    # The first process alone speaks and writes.
    assert "device 2 × cpu of 2 processes\n" in output
    assert output.count("test accuracy before:") == output.count("step 20/20: loss") == 1
    assert len(list((out / "tensorboard").iterdir())) == 1
    found, expected = (json.loads((run / "result.json").read_text()) for run in (out, alone))
    assert found["score_after"] == expected["score_after"]
    best = nnx.state(models.from_pretrained(out / "model"), nnx.Param)
    jax.tree.map(np.testing.assert_array_equal, best, after(out, found["best_step"]))


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of two processes, one killed behind step 10, and how the other ends."""
    out = tmp_path_factory.mktemp("killed")
    both = command(out, "--num-processes", "2", "--coordinator-address", free_address())
    of_each = [[*both, "--process-id", str(index)] for index in range(2)]
    with started(of_each[0]) as first, started(of_each[1]) as second:
        for line in first.stdout:
            if line.startswith("step 10/"):
                second.kill()
                break
        _, errors = first.communicate(timeout=SECONDS)
    return out, first.returncode, errors


def test_a_process_that_lost_another_says_what_to_do(killed):
    _, code, errors = killed
    assert code == 75
    assert "most likely because another one has ended" in errors
    assert "--resume continues from the latest checkpoint" in errors


def resumed(out, number):
    """Params at the end of a run that goes on with so many processes."""
    output = output_of(command(out, "--num-processes", str(number), "--resume"))
    assert "resumed at step 5\n" in output or "resumed at step 10\n" in output
    assert f"device {number} × cpu" in output.replace("  ", " ")
    return after(out)


def test_a_run_that_lost_a_process_continues_bit_by_bit(undisturbed, killed, tmp_path):
    expected = after(undisturbed(2)[0])
    ours = resumed(shutil.copytree(killed[0], tmp_path / "run"), 2)
    jax.tree.map(np.testing.assert_array_equal, ours, expected)


def test_a_run_that_lost_a_process_continues_alone(undisturbed, killed, tmp_path):
    ours = resumed(shutil.copytree(killed[0], tmp_path / "run"), 1)
    assert_close(ours, after(undisturbed(2)[0]))


@pytest.mark.slow
def test_a_run_of_one_process_continues_on_two(undisturbed, tmp_path):
    output_of(command(tmp_path, "--steps", "10"))
    assert_close(resumed(tmp_path, 2), after(undisturbed(1)[0]))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_processes_that_are_told_to_stop_save_together(number, tmp_path):
    """As from a scheduler, which tells the launcher alone, and from a terminal, which tells all."""
    out = tmp_path / "run"
    long = ["--steps", "5000", "--eval-every", "5000", "--num-processes", "2"]
    # Tests in the background of a shell have it ignored, and would hand this down.
    heeding = "import signal, os, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    heeding += "os.execv(sys.executable, sys.argv[1:])"
    launching = [sys.executable, "-c", heeding, *command(out, *long)]
    with started(launching) as launcher:
        for line in launcher.stdout:
            if line.startswith("compiling"):
                break
        while not any("train_loss" in record for record in read_metrics(out)):
            assert launcher.poll() is None
        if number == signal.SIGTERM:
            launcher.terminate()
        else:
            os.killpg(launcher.pid, number)
        said, errors = launcher.communicate(timeout=SECONDS)
    assert launcher.returncode == {signal.SIGTERM: 0, signal.SIGINT: 130}[number], errors
    (step,) = re.findall(r"stopped at step (\d+); --resume continues from there", said)
    assert int(step) % 10 == 0
    with Checkpoints(out / "checkpoints") as checkpoints:
        assert checkpoints.latest_step == int(step)
