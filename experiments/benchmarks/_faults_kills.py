"""Runs of the main job that are killed at random moments, and continued."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from experiments._inputs import model_source
from experiments._launcher import free_port
from experiments.benchmarks._faults_row import Row
from zojax import models
from zojax.training import Checkpoints, read_metrics

# The shipped default, briefly: texts of one padded length, so that there is little to compile, and
# a checkpoint every five steps.
STEPS = 40
RUN = {"steps": STEPS, "eval-every": 10, "save-every": 5, "max-length": 24}
RUN |= {"num-dev": 32, "num-test": 32, "sampler": "rademacher"}
LONGEST = 600  # seconds that a run may take


def kills(processes: int, number: int, seed: int) -> Iterator[Row]:
    """A row: runs of so many processes, one of which is killed, with SIGKILL, once a run."""
    if not number:
        return
    rng = random.Random(seed + processes)
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder), processes)
        found = [runs.survives(rng, at_a_save=i % 2 == 0) for i in range(number)]
    name = "run killed" if processes == 1 else f"one of {processes} processes killed"
    at = ", ".join("-" if step is None else str(step) for _, step in found)
    yield Row(name, sum(well for well, _ in found), number, f"continued from step {at}")


class Runs:
    """An undisturbed run, and others that are to end as it did.

    Args:
      folder: for all of them.
      processes: of each.
    """

    def __init__(self, folder: Path, processes: int):
        self._folder, self._processes = folder, processes
        self._environment = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
        }
        self._number = 0
        self._run(folder / "first")  # which compiles
        start = time.monotonic()
        self._run(folder / "undisturbed")
        self._seconds = time.monotonic() - start
        self._expected = outcome_of(folder / "undisturbed")

    def survives(self, rng: random.Random, *, at_a_save: bool) -> tuple[bool, int | None]:
        """Kills a run, continues it, and compares; and at which step it was continued."""
        self._number += 1
        out = self._folder / str(self._number)
        wait = self._until_a_save(out, rng) if at_a_save else self._for_a_while(rng)
        self._killed(out, wait, rng.randrange(self._processes))
        said = self._run(out)
        resumed = [line for line in said.splitlines() if line.startswith("resumed at step ")]
        step = int(resumed[0].rpartition(" ")[2]) if resumed else None
        return outcome_of(out) == self._expected, step

    def _command(self, out: Path) -> list[str]:
        flags = [word for name, value in RUN.items() for word in (f"--{name}", str(value))]
        again = ["--resume"] if (out / "settings.yaml").exists() else []
        return [sys.executable, "-m", "experiments.finetune", *flags, "--out", str(out), *again]

    def _run(self, out: Path) -> str:
        command = [*self._command(out), "--num-processes", str(self._processes)]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=LONGEST
        )
        if done.returncode or "Traceback" in done.stderr:
            raise RuntimeError(f"a run that nobody killed has failed: {done.stderr}")
        return done.stdout

    def _killed(self, out: Path, wait: Callable[[], Any], which: int) -> None:
        """A run of which a process is killed; the others have to end by themselves."""
        commands = [self._command(out)]
        if self._processes > 1:
            joining = ["--num-processes", str(self._processes)]
            joining += ["--coordinator-address", f"127.0.0.1:{free_port()}"]
            commands = [
                [*commands[0], *joining, "--process-id", str(i)] for i in range(self._processes)
            ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running = [subprocess.Popen(c, env=self._environment, **quiet) for c in commands]
        try:
            wait()
            running[which].send_signal(signal.SIGKILL)
            for process in running:
                process.wait(timeout=LONGEST)
        finally:
            for process in running:
                process.kill()
                process.wait()

    def _for_a_while(self, rng: random.Random) -> Callable[[], Any]:
        seconds = rng.random() * self._seconds
        return lambda: time.sleep(seconds)

    def _until_a_save(self, out: Path, rng: random.Random) -> Callable[[], Any]:
        """Until one of the checkpoints is under way, and up to 50 milliseconds longer."""
        step, longer = 5 * rng.randrange(1, STEPS // 5 + 1), 0.05 * rng.random()
        deadline = time.monotonic() + LONGEST

        def wait() -> None:
            while not any((out / "checkpoints").glob(f"{step}*")):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{out}: no checkpoint of step {step}")
                time.sleep(1e-3)
            time.sleep(longer)

        return wait


def outcome_of(out: Path) -> tuple[Any, ...]:
    """What must not depend on kills: the params of the last step bit by bit, and all metrics."""
    like = nnx.state(models.from_pretrained(model_source("opt-reviews")), nnx.Param)
    with Checkpoints(out / "checkpoints") as checkpoints:
        (params,) = checkpoints.restore(STEPS, params=like)
    lines = [
        {name: number for name, number in record.items() if not name.endswith("_per_second")}
        for record in read_metrics(out)
    ]
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(params)]
    return leaves, lines, (out / "model" / "model.safetensors").read_bytes()
