"""Ends of the process: words and an exit status instead of a traceback."""

import contextlib
import errno
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

import jax

from experiments._interruption import Stopped
from experiments._processes import EndingTogether, is_first
from zojax.training import CheckpointError

_RESUME = "--resume continues from the latest checkpoint that is whole"
_REMEDIES = {
    number: f"make room there, and {_RESUME}"
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
} | {
    number: "make it writable and use --resume if there are checkpoints, or choose another --out"
    for number in (errno.EROFS, errno.EACCES, errno.EPERM)
}


class RefusedError(ValueError):
    """Settings that turn out to be of no use when the programs are compiled."""


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Around choices, whose ValueErrors are about what the user asked for."""
    try:
        yield
    except ValueError as error:
        raise RefusedError(str(error)) from error


@contextlib.contextmanager
def ending_in_words() -> Iterator[None]:
    """What is no error of the program ends it with a sentence and a status, without a traceback."""
    # Each thread of orbax logs an error of its own, with a traceback, before it is raised here.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    try:
        yield
    except Stopped as stopped:
        _leave(stopped)
    except KeyboardInterrupt:
        print(f"interrupted; {_RESUME}", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    except (CheckpointError, RefusedError) as error:
        raise SystemExit(f"error: {error}") from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
        raise SystemExit(f"error: {where}{error.strerror or error}{remedy}") from None


def _leave(stopped: Stopped) -> NoReturn:
    if stopped.step is not None:
        if is_first():
            print(f"stopped at step {stopped.step}; --resume continues from there", flush=True)
        raise EndingTogether(stopped.status)
    print(f"stopped before the first step or behind the last; {_RESUME}", flush=True)
    if jax.distributed.is_initialized():
        # The others know nothing of it, and an interpreter that ends in order waits for them.
        os._exit(stopped.status)
    raise SystemExit(stopped.status)
