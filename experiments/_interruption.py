"""Signals that ask a run to stop: it finishes the step, saves, and says how to go on."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType

import jax

from experiments._processes import agree_on_largest

# SIGUSR1 comes from the launcher of several processes, and from SLURM (--signal=USR1@120) some time
# before the end. It never counts as a second signal: a terminal may have sent one as well.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Stopped(KeyboardInterrupt):
    """A run has stopped because a signal asked for it.

    Attributes:
      number: of the signal.
      step: of the checkpoint that was saved for it; None if it came before the first step, or
        behind the last one.
    """

    def __init__(self, number: int, step: int | None = None):
        super().__init__(number, step)
        self.number, self.step = number, step

    @property
    def status(self) -> int:
        """How the process ends: that it was told to go is no failure, unless somebody sat there."""
        return 128 + signal.SIGINT if self.number == signal.SIGINT else 0


class Interruption:
    """Receives signals for the length of a `with` block.

    Outside of `between_steps` the first one raises Stopped, as Ctrl-C raises KeyboardInterrupt:
    there is nothing to save. Inside it is noted, and the loop asks for it with `stop_after`. A
    second SIGINT or SIGTERM ends the process at once.

    Python runs its handlers between two instructions, and a compiled step is one of them. What the
    library writes into a pipe (`signal.set_wakeup_fd`) a thread reads at any time.
    """

    def __init__(self):
        self._between_steps = False
        self._first: int | None = None

    def __enter__(self) -> "Interruption":
        self._before = {}
        # Python hands signals to the main thread alone; a notebook may run this in another one.
        if threading.current_thread() is threading.main_thread():
            self._listen()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._wakeup_before)
            self._end.close()  # which ends the thread

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """For the loop, which saves before it stops."""
        self._between_steps = True
        try:
            yield
        finally:
            self._between_steps = False

    def stop_after(self, *, looking: bool) -> int | None:
        """The signal for which all processes stop behind this step, if there is one.

        Several of them ask each other, which waits for the device, only where the host looks.
        """
        if jax.process_count() == 1:
            return self._first
        return agree_on_largest(self._first or 0) or None if looking else None

    def _listen(self) -> None:
        reader, self._end = socket.socketpair()
        self._end.settimeout(0)
        self._wakeup_before = signal.set_wakeup_fd(self._end.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()
        self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._first = self._first or number
        if not self._between_steps:
            raise Stopped(number)

    def _watch(self, reader: socket.socket) -> None:
        asked = 0
        with reader:
            while received := reader.recv(1):
                number = received[0]
                if number not in _SIGNALS:
                    continue
                self._first = self._first or number
                asked += number != signal.SIGUSR1
                if asked == 1 and self._between_steps:
                    words = "stopping after this step; a second signal ends the process at once"
                    print(words, flush=True)
                if asked == 2:
                    os._exit(128 + number)
