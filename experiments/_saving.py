"""When a checkpoint is due."""

import time
from collections.abc import Callable

from experiments._processes import agree
from experiments._settings import Settings


class Cadence:
    """That of `save_every` and `save_minutes`; without them, each evaluation comes with one.

    With them, an evaluation comes with one if it is the best so far: the model that comes out in
    the end is that one. The last step always does.

    Args:
      settings: of the run.
      clock: seconds since some moment.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic):
        self._settings = settings
        self._clock = clock
        self._saved = clock()

    def due(self, step: int, loss: float | None, best_loss: float) -> bool:
        """Whether to save after a step; of several processes, the clock of the first one counts.

        Args:
          step: that is done.
          loss: on the validation split, if there was an evaluation.
          best_loss: of all checkpoints.
        """
        settings, minutes = self._settings, self._settings.save_minutes
        apart = settings.save_every is not None or minutes is not None
        due = (
            step == settings.steps
            or (settings.save_every is not None and step % settings.save_every == 0)
            or (loss is not None and (not apart or loss < best_loss))
        )
        if minutes is not None:
            due |= bool(agree(self._clock() - self._saved >= 60 * minutes))
        if due:
            self._saved = self._clock()
        return due
