"""The params of any step from those at the start, without data and without a loss."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from zojax.estimators import Recorded
from zojax.training._step import update_of


def make_replay(
    tx: optax.GradientTransformationExtraArgs, *, shardings: tuple[Any, Any] | None = None
) -> Callable[..., tuple[Any, Any]]:
    """Returns a jitted `replay(params, state, losses, start, stop) -> (params, state)`.

    It makes the steps start + 1 ... stop of a run again, from the params and state after step
    `start` and the losses that a `SeedLog` has of the steps 1, 2, ..., shape (steps, n): those that
    `training.make_step` made of evaluated losses. It is one program, whatever `start` and `stop`
    are; the buffers of `params` and `state` are donated.

    With the same versions of jax on the same kind of device all bits are those of the run, as long
    as XLA forms the updates in the same loops; a `Mark` of the log tells.

    Costs the regenerations of an update for every step, and no evaluation.

    Args:
      tx: the transformation of the run.
      shardings: as for `make_step`.

    Raises:
      ValueError: if a step of this transformation has another number of losses.
    """

    def replay(params, state, losses, start, stop):
        def body(step, carry):
            return update_of(tx, Recorded(losses[step]))(*carry)[:2]

        return jax.lax.fori_loop(start, stop, body, (params, state))

    return jax.jit(replay, donate_argnums=(0, 1), out_shardings=shardings)
