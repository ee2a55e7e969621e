"""Starting processes, finding them, and what happens to the others if one fails."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tyro
from started import FOLDER, SECONDS, WORKER, output_of, slurm_job, started

from experiments import _launcher, finetune
from experiments._launcher import launch
from experiments._processes import Processes

LAUNCH = Path(finetune.__file__).parent / "launch"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.getcwd(), str(FOLDER)]))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv(
        "XLA_FLAGS", f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    )


def test_processes_of_a_slurm_job_find_each_other_and_agree():
    job = slurm_job()
    with started(WORKER, **job[0]) as first, started(WORKER, **job[1]) as second:
        for index, process in enumerate((first, second)):
            output, errors = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, errors
            assert f"process {index} of 2: fine" in output


def test_an_error_of_one_process_is_told_and_leaves_no_other_waiting(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS")
    job, failing = slurm_job(), [*WORKER, "fail"]
    with started(failing, **job[0]) as first, started(failing, **job[1]) as second:
        (_, told), (_, own) = (p.communicate(timeout=SECONDS) for p in (first, second))
    assert (first.returncode, second.returncode) == (75, 1)
    assert "KeyError: 'lost'" in own
    assert "failed in process 0, most likely because another one has ended" in told


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("well", 0, ""),
        (
            "status",
            7,
            "here is 1\nno such file\nprocess 1 failed with exit status 7, and the run has ended\n",
        ),
        (
            "killed",
            1,
            "here is 2\nprocess 2 was ended by signal 9, and the run has ended; --resume "
            "continues from the latest checkpoint\n",
        ),
    ],
)
def test_the_launcher_ends_what_it_started(how, code, message, monkeypatch, capfd):
    monkeypatch.setattr(_launcher, "_GRACE", 0.1)
    before = signal.getsignal(signal.SIGTERM)
    assert launch("launched", [how], 3) == code
    output = capfd.readouterr()
    assert output.err == message
    assert set(output.out.splitlines()) <= {"here is 0"}
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_process_0_has_said_is_not_said_again(capfd):
    assert launch("launched", ["told"], 2) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_launcher_that_is_ended_ends_what_it_started(signal_number):
    launching = (
        "import signal, sys; from experiments._launcher import launch; "
        # Tests in the background of a shell have it ignored, and would hand this down.
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.exit(launch('launched', ['endless'], 2))"
    )
    command = [sys.executable, "-c", launching]
    with started(command) as process:
        assert process.stdout.readline() == "here is 0\n"
        os.killpg(process.pid, signal_number)
        process.communicate(timeout=SECONDS)  # not before the last one that may write has ended
    assert process.returncode == {signal.SIGTERM: 0, signal.SIGINT: 130}[signal_number]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_processes": 0}, "num_processes must be at least 1; got 0"),
        ({"process_id": 1}, "process_id came without num_processes, coordinator_address; a pro"),
        (
            {"num_processes": 2, "coordinator_address": "a:1"},
            "num_processes and coordinator_address came without process_id",
        ),
        (
            {"num_processes": 2, "coordinator_address": "a:1", "process_id": 2},
            "process_id must lie between 0 and 1, the last of num_processes = 2; got 2",
        ),
        (
            {"num_processes": 2, "coordinator_address": "a", "process_id": 0},
            "coordinator_address must be HOST:PORT, such as 10.0.0.1:1234; got 'a'",
        ),
        (
            {"distributed": True, "num_processes": 2},
            "distributed finds out by itself what num_processes says; leave one of them out",
        ),
    ],
)
def test_flags_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Processes(**changes)


def test_only_a_number_of_processes_alone_starts_them_here():
    assert Processes(num_processes=2).start_here
    joining = Processes(num_processes=2, coordinator_address="10.0.0.1:1234", process_id=0)
    for processes in (Processes(), Processes(1), Processes(distributed=True), joining):
        assert not processes.start_here


def test_what_cannot_be_shared_out_is_refused_before_anything_is_started(monkeypatch, capsys):
    monkeypatch.setattr(finetune, "launch", None)
    monkeypatch.setattr("sys.argv", ["finetune", "--num-processes", "3"])
    with pytest.raises(SystemExit):
        finetune.main()
    said = " ".join(capsys.readouterr().err.split())
    assert "batch_size 16 cannot be shared out evenly among num_processes = 3" in said


def test_where_there_is_no_job_this_is_said():
    with started([sys.executable, "-m", "experiments.finetune", "--distributed"]) as process:
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith("error: distributed: jax finds no job of several processes here")


@pytest.mark.parametrize("script", sorted(LAUNCH.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_bash(script):
    assert subprocess.run(["bash", "-n", script], timeout=SECONDS).returncode == 0


def test_the_slurm_script_joins_and_resumes(tmp_path, monkeypatch):
    """`srun` here prints what it is to run."""
    (tmp_path / "srun").write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for resume in (False, True):
        output = output_of(
            ["bash", str(LAUNCH / "slurm.sh"), "--steps", "7", "--out", str(tmp_path)]
        )
        *_, module, rest = output.partition("experiments.finetune\n")
        assert module
        asked = tyro.cli(finetune.Command, args=rest.split())
        assert asked.processes == Processes(distributed=True)
        assert (asked.settings.steps, asked.settings.resume) == (7, resume)
        (tmp_path / "settings.yaml").write_text("{}")
