"""The processes that make a run together, by jax.distributed."""

import contextlib
import dataclasses
import os
import sys
import traceback
from collections.abc import Iterator

import jax
import numpy as np
import tyro
from jax.experimental import multihost_utils

# How a process ends because of what happened to another one (EX_TEMPFAIL: try again).
LOST_ANOTHER = 75
# Of an error, for the other processes to tell.
_LONGEST_MESSAGE = 2000


@dataclasses.dataclass(frozen=True)
class Processes:
    """Which processes make a run; without any of these, this one with all devices it has."""

    num_processes: int | None = None
    """Processes of the run. Alone: start so many on the CPU of this machine."""
    coordinator_address: str | None = None
    """HOST:PORT of process 0; with --num-processes and --process-id, this process joins."""
    process_id: int | None = None
    """Which process this is, from 0."""
    distributed: tyro.conf.FlagCreatePairsOff[bool] = False
    """Join the processes of a SLURM, Open MPI, Kubernetes or TPU pod job, as jax finds them."""

    def __post_init__(self):
        given = {
            "num_processes": self.num_processes,
            "coordinator_address": self.coordinator_address,
            "process_id": self.process_id,
        }
        named = [name for name, value in given.items() if value is not None]
        if self.distributed and named:
            raise ValueError(
                f"distributed finds out by itself what {named[0]} says; leave one of them out"
            )
        if named not in ([], ["num_processes"], list(given)):
            missing = ", ".join(name for name in given if name not in named)
            raise ValueError(
                f"{' and '.join(named)} came without {missing}; a process joins others by all of "
                f"{', '.join(given)}, or by distributed alone"
            )
        self._check_values()

    def _check_values(self):
        number, address = self.num_processes, self.coordinator_address
        if number is not None and number < 1:
            raise ValueError(f"num_processes must be at least 1; got {number}")
        if self.process_id is not None and not 0 <= self.process_id < number:
            raise ValueError(
                f"process_id must lie between 0 and {number - 1}, the last of num_processes = "
                f"{number}; got {self.process_id}"
            )
        if address is not None and not address.rpartition(":")[2].isdigit():
            raise ValueError(
                f"coordinator_address must be HOST:PORT, such as 10.0.0.1:1234; got {address!r}"
            )

    def check_batch(self, batch_size: int) -> None:
        """Raises ValueError for a batch that cannot be shared out, before anything is started."""
        if self.num_processes is not None and batch_size % self.num_processes:
            raise ValueError(
                f"batch_size {batch_size} cannot be shared out evenly among num_processes = "
                f"{self.num_processes}; choose a multiple of {self.num_processes}"
            )

    @property
    def start_here(self) -> bool:
        """Whether this process only starts the others, on its own machine."""
        return self.coordinator_address is None and (self.num_processes or 1) > 1

    def join(self) -> None:
        """Joins the other processes, if there are any; call it before jax computes anything.

        Raises:
          ValueError: if jax finds no job that this process is a part of.
        """
        # jax's own service would take a SIGTERM for a notice, and the process would live on.
        jax.config.update("jax_enable_preemption_service", val=False)
        if self.distributed:
            try:
                jax.distributed.initialize()
            except ValueError as error:
                raise ValueError(
                    f"distributed: jax finds no job of several processes here ({error}); say "
                    "num_processes, coordinator_address and process_id instead"
                ) from None
        elif self.coordinator_address is not None:
            jax.distributed.initialize(
                self.coordinator_address,
                self.num_processes,
                self.process_id,
                cluster_detection_method="deactivate",
            )


def is_first() -> bool:
    """Whether this process writes the files of the run and talks to the user."""
    return jax.process_index() == 0


def agree(number: int) -> int:
    """The number of process 0; all processes have to ask."""
    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def agree_rate(rate: float) -> float:
    """The number of process 0, to three digits; all processes have to ask."""
    return float(f"{float(multihost_utils.broadcast_one_to_all(np.float32(rate))):.3g}")


def agree_on_largest(number: int) -> int:
    """The largest number of any process; all of them have to ask."""
    return int(multihost_utils.process_allgather(np.int32(number)).max())


@contextlib.contextmanager
def failing_together() -> Iterator[None]:
    """A ValueError or OSError of one process becomes one of all, which wait for each other here.

    Raises:
      ValueError: with the message of the first process that has one.
    """
    message = ""
    try:
        yield
    except (ValueError, OSError) as error:
        if jax.process_count() == 1:
            raise
        message = str(error) or type(error).__name__
    if jax.process_count() == 1:
        return
    text = message.encode()[:_LONGEST_MESSAGE]
    row = np.frombuffer(text.ljust(_LONGEST_MESSAGE, b"\0"), np.uint8)
    rows = multihost_utils.process_allgather(row)
    for message in (bytes(row).rstrip(b"\0").decode(errors="replace") for row in rows):
        if message:
            raise ValueError(message)


class EndingTogether(SystemExit):
    """An end that all processes of a run come to, so that they may wait for each other."""


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Lets no error of one of several processes leave the others waiting for it.

    An interpreter that ends in order waits for the other processes, which wait for this one in the
    middle of a computation. So the message is printed, and the process is gone: the others see a
    connection that is closed.
    """
    try:
        yield
    except BaseException as error:
        together = isinstance(error, EndingTogether)
        well = isinstance(error, SystemExit) and not error.code
        if together or well or not jax.distributed.is_initialized():
            raise
        code, message = _verdict(error)
        sys.stdout.flush()
        if message:
            print(message, file=sys.stderr, flush=True)
        os._exit(code)


def _verdict(error: BaseException) -> tuple[int, str]:
    """Exit status and message."""
    # What the library of collectives on CPU reports comes from a compiled call as a ValueError.
    if isinstance(error, jax.errors.JaxRuntimeError) or "Gloo " in str(error):
        reason = str(error).partition("\n")[0]
        return LOST_ANOTHER, (
            f"error: a computation of all {jax.process_count()} processes failed in process "
            f"{jax.process_index()}, most likely because another one has ended ({reason}); "
            "--resume continues from the latest checkpoint"
        )
    if isinstance(error, SystemExit):
        return (error.code, "") if isinstance(error.code, int) else (1, str(error.code))
    return 1, "".join(traceback.format_exception(error))
