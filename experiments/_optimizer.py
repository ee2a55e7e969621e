"""The transformation of a run."""

import types

import optax

from experiments._averaging import average_params
from experiments._job import run_key
from experiments._methods import METHODS
from experiments._precision import with_update_precision
from experiments._schedules import scaled
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
    return _with_the_rest(tx, settings)


def at_any_rate(
    settings: Settings, chunk_size: int, axes: Axes, schedule: optax.ScalarOrSchedule = 1.0
) -> optax.GradientTransformationExtraArgs:
    """The same, told a rate with each update, `update(..., rate=)`: one program for all rates.

    Args:
      settings: of the run; the learning rate there means nothing.
      chunk_size: directions evaluated side by side.
      axes: of the mesh.
      schedule: what the rate is multiplied with.
    """
    names = ("radius", "num_queries", "sampler", "sampler_rank")
    names += ("weight_decay", "weight_decay_mask", "accumulate")
    given = {name: getattr(settings, name) for name in names}

    def make(rate: optax.ScalarOrSchedule) -> optax.GradientTransformationExtraArgs:
        numbers = types.SimpleNamespace(**given, rate=rate)
        return METHODS[settings.method].make(numbers, run_key(settings), chunk_size, axes)

    def update_fn(updates, state, params=None, *, rate, **data):
        return make(scaled(rate, schedule)).update(updates, state, params, **data)

    tx = optax.GradientTransformationExtraArgs(make(schedule).init, update_fn)
    return _with_the_rest(tx, settings)


def _with_the_rest(
    tx: optax.GradientTransformationExtraArgs, settings: Settings
) -> optax.GradientTransformationExtraArgs:
    tx = with_update_precision(tx, settings, run_key(settings))
    if settings.ema_decay is None:
        return tx
    return optax.chain(tx, average_params(settings.ema_decay, accumulate=settings.accumulate))
