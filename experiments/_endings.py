"""How a run ended: in a word, a sentence, and an exit status."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments._progress import Window
from experiments._settings import Settings

# Exit status of a run that came to its end without a model to speak of.
WITHOUT_SUCCESS = 3


class Ending(NamedTuple):
    """How a run ended.

    Attributes:
      ended: "finished", "stopped by signal", "non-finite", "non-finite validation" or "unmoved".
      explanation: a sentence.
    """

    ended: str
    explanation: str

    @property
    def status(self) -> int:
        """Of the process."""
        return 0 if self.ended in ("finished", "stopped by signal") else WITHOUT_SUCCESS


def conclude(
    settings: Settings, *, step: int, num_nonfinite: int, moved: bool, best_loss: float
) -> Ending:
    """What to say of a run that came to its last step.

    Args:
      settings: of the run.
      step: the last one.
      num_nonfinite: updates that were withheld.
      moved: whether any weight is another one than at the start, to speak of.
      best_loss: the least on the validation split after the start; inf without a finite one.
    """
    if num_nonfinite == step:
        words = f"the losses of all {step:,} updates were not finite, and nothing was trained"
        return Ending("non-finite", f"{words}; {_smaller(settings)}")
    if not moved:
        radius = "" if settings.radius is None else f", or a larger --radius ({settings.radius:g})"
        return Ending(
            "unmoved",
            f"after {step:,} updates the weights are where they were: the updates are below "
            f"the resolution of {settings.dtype}, or no loss ever differed from another; choose a "
            f"larger --learning-rate ({settings.learning_rate:g}){radius}",
        )
    if math.isinf(best_loss):
        return Ending(
            "non-finite validation",
            "no validation loss was finite, so that no model is the best one, and the last one was "
            f"taken; {_smaller(settings)}",
        )
    withheld = f", of which {num_nonfinite:,} were withheld" if num_nonfinite else ""
    return Ending("finished", f"all {step:,} updates were made{withheld}")


def diagnose(settings: Settings, params: Any, window: Window, *, step: int) -> Ending | None:
    """What to say of a run that has to stop because nothing is finite any more; None of others.

    Args:
      settings: of the run.
      params: that it has; if it stops, those before the first of the updates that were withheld.
      window: that has read all updates until now.
      step: the last one.
    """
    in_a_row, value = window.nonfinite_in_a_row, window.last_value
    if in_a_row < settings.nonfinite_patience:
        return None
    what = "the estimates" if math.isfinite(value) else "the losses"
    spoilt = _nonfinite_leaf(params)
    weights = f"the weights were not either ({spoilt})" if spoilt else "the weights are finite"
    return Ending(
        "non-finite",
        f"{what} of {in_a_row:,} updates in a row, steps {step - in_a_row + 1:,} to {step:,}, were "
        f"not finite (mean loss of the last one: {value:g}); these updates were withheld, and "
        f"{weights}; {_smaller(settings)}",
    )


def _smaller(settings: Settings) -> str:
    radius = "" if settings.radius is None else f"--radius ({settings.radius:g}) or "
    dtype = "" if settings.dtype == "float32" else ", or --dtype float32"
    return f"try a smaller {radius}--learning-rate ({settings.learning_rate:g}){dtype}"


def _nonfinite_leaf(params: Any) -> str | None:
    paths, leaves = zip(*jax.tree.flatten_with_path(params)[0], strict=True)
    finite = jax.jit(lambda leaves: [jnp.isfinite(leaf).all() for leaf in leaves])(leaves)
    names = (jax.tree_util.keystr(p) for p, f in zip(paths, finite, strict=True) if not f)
    return next(names, None)
