"""Processes of a test: they end with it, whatever happens, and so do those that they started."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
WORKER = [sys.executable, str(FOLDER / "processes_worker.py")]
SECONDS = 240  # more than any process here needs


@contextlib.contextmanager
def started(command, **environment):
    """A process with pipes, for a `with` block."""
    process = subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def output_of(command, **environment):
    """What a process prints that has to end well."""
    with started(command, **environment) as process:
        output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    return output


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def slurm_job():
    """What SLURM tells the two processes of a job on one node, with a number whose port is free."""
    for number in itertools.count(os.getpid()):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", 61440 + number % 4096))  # as jax makes it of the number
            break
    job = {
        "SLURM_JOB_ID": str(number),
        "SLURM_STEP_NODELIST": "127.0.0.1",
        "SLURM_NTASKS": "2",
    }
    return [job | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} for i in range(2)]
