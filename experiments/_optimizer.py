"""The transformation of a run."""

import optax

from experiments._averaging import average_params
from experiments._job import run_key
from experiments._methods import METHODS
from experiments._precision import with_update_precision
from experiments._settings import Settings
from zojax import Axes


def make_optimizer(
    settings: Settings, chunk_size: int, axes: Axes
) -> optax.GradientTransformationExtraArgs:
    """Returns the method of a run, and behind it what the settings ask for besides.

    Args:
      settings: of the run.
      chunk_size: directions evaluated side by side.
      axes: of the mesh.
    """
    tx = METHODS[settings.method].make(settings, run_key(settings), chunk_size, axes)
    tx = with_update_precision(tx, settings, run_key(settings))
    if settings.ema_decay is None:
        return tx
    return optax.chain(tx, average_params(settings.ema_decay, accumulate=settings.accumulate))
