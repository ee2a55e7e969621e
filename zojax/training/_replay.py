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
    """Returns a jitted `replay(params, state, losses) -> (params, state)`.

    It makes a step of a run again, from the params and state before it and the losses that a
    `SeedLog` has of it, shape (n,): those that a step of `make_step` measured. The buffers of
    `params` and `state` are donated, and the host may go on with the next step at once.

    With the same versions of jax on the same kind of device all bits are those of `make_step`, as
    long as XLA fuses the update in the same way; a `Mark` of the log tells. So there is one step in
    a call, as there. A loop over steps is another program: with jax 0.12 on a CPU the moments of
    four of twelve methods came out of one with other last bits, and so may those of `make_steps`.

    Costs the regenerations of an update, and no evaluation.

    Args:
      tx: the transformation of the run.
      shardings: as for `make_step`.

    Raises:
      ValueError: if a step of this transformation has another number of losses.
    """

    def replay(params, state, losses):
        return update_of(tx, Recorded(losses))(params, state)[:2]

    return jax.jit(replay, donate_argnums=(0, 1), out_shardings=shardings)
