"""What a user sees of a run while it goes."""

import math
import time

import jax
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

# Of a float32 number, relative to it.
_ROUNDING = 2.0**-24


class Window:
    """Collects what calls measured, without waiting for any of them, until somebody reads.

    Args:
      accumulate: calls that a step is made of.
      difference: the radius times the queries of a step, which make of a coefficient about the
        difference between losses that it stands for; None for a method without any.
      num_nonfinite: updates withheld before the first call.
      lane: which run this is of several side by side; None if it is alone.

    Attributes:
      nonfinite_in_a_row: how many of the last updates that were read had been withheld.
      last_value: the mean loss of the last of them.
      losses: of every call of the window that was read last, (calls, n), for a seed log; None for a
        method that has none.
    """

    def __init__(
        self,
        accumulate: int = 1,
        difference: float | None = None,
        num_nonfinite: int = 0,
        lane: int | None = None,
    ):
        self._accumulate, self._difference = accumulate, difference
        self._num_nonfinite, self._lane = num_nonfinite, lane
        self.nonfinite_in_a_row = 0
        self.last_value = math.nan
        self.losses: np.ndarray | None = None
        self._measured: list[dict[str, jax.Array]] = []
        self._tokens = 0
        self._start = time.perf_counter()

    def restart_clock(self) -> None:
        """Leaves the time since the last reading out of the speed."""
        self._start = time.perf_counter()

    def add(self, measured: dict[str, jax.Array], tokens: int) -> None:
        """Adds a call; its arrays, () of one step or (n,) of several, may still be in the making.

        Args:
          measured: what a step, or several, of `zojax.training` measured; of runs side by side
            all of them, with an axis for the runs behind that of the steps.
          tokens: of their batches.
        """
        self._measured.append(measured)
        self._tokens += tokens

    def read(self, step: int) -> dict[str, float]:
        """Waits for the device, returns the numbers of the window, and starts a new one.

        Args:
          step: how many steps the run has made.

        Returns:
          The mean of the finite losses (nan if there was none), the loss evaluations of a whole
          batch and the updates withheld since the run began, the tokens (or pictures) that met the
          model and the loss evaluations a second, and `coefficient_snr`: the typical difference
          between the losses along a direction over what rounding makes of a float32 loss, 2⁻²⁴ of
          it. Near 1 the estimates are rounding, and the radius is too small; with narrower
          activations rounding is coarser than this.
        """
        calls = [self._own(call) for call in jax.device_get(self._measured)]
        seconds = time.perf_counter() - self._start
        losses = [call.pop("last_losses") for call in calls if "last_losses" in call]
        self.losses = np.vstack(losses) if losses else None
        measured = self._by_step(calls)
        self._count(measured["num_nonfinite"])
        losses = measured["value"].astype(np.float64)
        self.last_value = float(losses[-1])
        losses = losses[np.isfinite(losses)]
        evaluations = int(measured["num_evaluations"][-1]) // self._accumulate
        numbers = {
            "loss_evaluations": evaluations,
            "train_loss": float(losses.mean()) if losses.size else math.nan,
            "num_nonfinite": self._num_nonfinite,
            "tokens_per_second": self._tokens * evaluations / step / seconds,
            "evaluations_per_second": len(measured["value"]) * evaluations / step / seconds,
        }
        if self._difference is not None:
            typical = np.sqrt(np.mean(np.square(measured["coefficients"], dtype=np.float64)))
            rounding = _ROUNDING * abs(numbers["train_loss"])
            snr = self._difference * typical / rounding if rounding else math.nan
            numbers["coefficient_snr"] = float(snr)
        self._measured, self._tokens = [], 0
        self.restart_clock()
        return numbers

    def _own(self, call: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What a call measured of this run."""
        if self._lane is None:
            return call
        axis = call["value"].ndim - 1
        return {name: array.take(self._lane, axis) for name, array in call.items()}

    def _count(self, num_nonfinite: np.ndarray) -> None:
        """Takes in how many updates had been withheld after each one."""
        withheld = np.diff(num_nonfinite, prepend=self._num_nonfinite) > 0
        at_the_end = int(withheld[::-1].cumprod().sum())
        before = self.nonfinite_in_a_row if withheld.all() else 0
        self.nonfinite_in_a_row = before + at_the_end
        self._num_nonfinite = int(num_nonfinite[-1])

    def _by_step(self, calls: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Arrays that lead with the steps of the window.

        What a step measured is known when its last call is done.
        """

        def of_steps(name: str) -> np.ndarray:
            last = calls[0][name].shape[-1:] if name == "coefficients" else ()
            rows = np.concatenate([np.reshape(call[name], (-1, *last)) for call in calls])
            return rows[self._accumulate - 1 :: self._accumulate]

        return {name: of_steps(name) for name in calls[0]}


class ProgressView:
    """A progress bar on a terminal; elsewhere a line for each evaluation.

    Args:
      console: where to draw.
      steps: how many steps the run has.
      step: how many of them are done.
      metric: what the score is called.
      unit: what the model reads, in three letters.
    """

    def __init__(
        self,
        console: Console,
        *,
        steps: int,
        step: int = 0,
        metric: str = "accuracy",
        unit: str = "tok",
    ):
        self._console = console
        self._steps = steps
        self._metric, self._unit = metric, unit
        self._dev = ""
        self._bar = Progress(
            MofNCompleteColumn(table_column=Column(min_width=2 * len(str(steps)) + 1)),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=steps, completed=step, numbers="compiling …")

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Shows what `Window.read` returned."""
        withheld, spent = numbers["num_nonfinite"], numbers["loss_evaluations"]
        # A line of 80 characters has no room for both.
        last = (
            f"[red]{withheld:,} non-finite[/]"
            if withheld
            else f"{_short(numbers['tokens_per_second'])} {self._unit}/s"
        )
        text = f"loss [bold]{numbers['train_loss']:.3f}[/]{self._dev} · {spent:,} evals · {last}"
        self._bar.update(self._task, completed=step, numbers=text)

    def evaluating(self, done: int, total: int) -> None:
        """Shows how far an evaluation is."""
        self._bar.update(self._task, numbers=f"evaluating {done:,} of {total:,}")

    def evaluated(self, step: int, score: float, loss: float, numbers: dict[str, float]) -> None:
        """Shows the score on the validation split."""
        self._dev = f" · dev [bold]{score:.1%}[/]"
        self.log(step, numbers)
        if not self._console.is_terminal:
            skipped, spent = numbers["num_nonfinite"], numbers["loss_evaluations"]
            self._console.print(
                f"step {step}/{self._steps}: loss {numbers['train_loss']:.4f}, dev "
                f"{self._metric} {score:.1%}, dev loss {loss:.4f}, {spent:,} loss evaluations, "
                f"{_short(numbers['tokens_per_second'])} {self._unit}/s"
                + (f", {skipped} non-finite" if skipped else ""),
                soft_wrap=True,
                highlight=False,
            )

    def __enter__(self) -> "ProgressView":
        if not self._console.is_terminal:
            self._console.print("compiling the update …", highlight=False)
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return f"{number:.0f}"
