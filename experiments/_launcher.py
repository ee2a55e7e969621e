"""Several processes on one machine: starts them, and lets none outlive another's failure."""

import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from experiments._processes import LOST_ANOTHER

# Seconds that the others have to notice a failure by themselves, and to say so.
_GRACE = 10
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Lines of a process that does not talk to the user.
_LINES = 20
_RESUME = "--resume continues from the latest checkpoint"


class _Asked(Exception):
    """A signal came, and nobody has been told yet."""


def launch(module: str, arguments: Sequence[str], num_processes: int) -> int:
    """Runs `python -m module arguments` as processes that find each other, one CPU device each.

    Process 0 has this terminal. What the others print is shown if one of them fails. SIGINT and
    SIGTERM are handed on, as SIGUSR1 since a terminal sends its own to all of them, and the
    processes have the time that they take to save; a second one ends them.

    Returns:
      The exit status: 0 if all have ended well, or stopped because of SIGTERM; 130 after SIGINT.
    """
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / f"{index}.log" for index in range(num_processes)]
        children: list[subprocess.Popen] = []
        before = {number: signal.signal(number, _ask) for number in _SIGNALS}
        try:
            # One by one, so that those that were started are known whenever this is interrupted.
            for command, log in zip(_commands(module, arguments, num_processes), logs, strict=True):
                children.append(_start(command, log if children else None))
            return _wait(children, logs)
        except _Asked as asked:
            return _stop(children, *asked.args)
        finally:
            for child in children:
                child.kill()  # nothing happens to those that have ended
                child.wait()
            for number, handler in before.items():
                signal.signal(number, handler)


def _ask(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise _Asked(number)


def _stop(children: list[subprocess.Popen], number: int) -> int:
    """Has all of them save and end, and says how the first one did."""
    for child in children:
        child.send_signal(signal.SIGUSR1)  # nothing happens to those that have ended
    try:
        codes = [child.wait() for child in children]
    except _Asked as again:
        return 128 + again.args[0]
    if number == signal.SIGINT:
        return 128 + number
    # One that was still starting knew no signal yet, and had nothing to save.
    return codes[0] if codes and codes[0] > 0 else 0


def _commands(module: str, arguments: Sequence[str], num_processes: int) -> list[list[str]]:
    address = f"127.0.0.1:{free_port()}"
    shared = [sys.executable, "-m", module, *arguments, "--coordinator-address", address]
    return [[*shared, "--process-id", str(index)] for index in range(num_processes)]


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(command: list[str], log: Path | None) -> subprocess.Popen:
    """Starts a process, which writes to a file, or to this one's terminal."""
    address = command[command.index("--coordinator-address") + 1]
    # Nobody from outside; and what jax cannot share among processes on one machine is left alone.
    environment = {"JAX_PLATFORMS": "cpu", **os.environ, "JAX_COORDINATOR_BIND_ADDRESS": address}
    if log is None:
        return subprocess.Popen(command, env=environment)
    with log.open("wb") as file:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )


def _wait(children: list[subprocess.Popen], logs: list[Path]) -> int:
    """Waits for all, or for the first that fails and what the others make of it."""
    ends = _ends_of(children)
    for _ in children:
        index, code = ends.get()
        if code:
            codes = _collect(ends, {index: code}, len(children))
            if codes.get(0) != 1:  # then it has told the user, as far as an error is one of all
                print(_message(index, code, logs), file=sys.stderr, flush=True)
            return code if 0 < code < 128 else 1
    return 0


def _ends_of(children: list[subprocess.Popen]) -> "queue.SimpleQueue[tuple[int, int]]":
    """(index, exit status) of each as soon as it has ended."""
    ends = queue.SimpleQueue()
    for index, child in enumerate(children):
        wait = lambda index=index, child=child: ends.put((index, child.wait()))  # noqa: E731
        threading.Thread(target=wait, daemon=True).start()
    return ends


def _collect(ends: queue.SimpleQueue, codes: dict[int, int], number: int) -> dict[int, int]:
    """Exit status by index of those that end while there is time."""
    deadline = time.monotonic() + _GRACE
    while len(codes) < number:
        try:
            index, code = ends.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            break
        codes[index] = code
    return codes


def _message(first: int, code: int, logs: list[Path]) -> str:
    """Who failed first, and what it said where the user does not see it."""
    how = f"was ended by signal {-code}" if code < 0 else f"failed with exit status {code}"
    lines = []
    if first:
        text = logs[first].read_text(encoding="utf-8", errors="replace")
        lines = text.rstrip().splitlines()[-_LINES:]
    hint = f"; {_RESUME}" if code < 0 or code == LOST_ANOTHER else ""
    return "\n".join([*lines, f"process {first} {how}, and the run has ended{hint}"])
