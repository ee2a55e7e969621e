"""Several runs as one: every array has a first axis, with a lane for each run.

    x_i, s_i ← u(x_i, s_i, B_i, η_i),    i = 1...N                                              (1)

x are the params and s the state, B is the batch and η the learning rate, and u is the update of a
run by itself: directions come from the key in s_i, as they would alone. Frozen weights are there
once. Lanes go by `vmap`, so that a device has N times as much to do at once, or in turn, by a loop
in the program, which has the temporaries of one lane. On a CPU, which one run keeps busy, they go
in turn: there `vmap` takes longer than runs one after another.

Under `vmap` a condition that could differ between lanes has both of its branches computed: what a
method does now and then, such as an anchor, it does in every update, and throws away what was not
due.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments._optimizer import at_any_rate
from experiments._settings import Settings
from zojax import Axes

Trees = tuple[Any, Any]


def make_optimizer(
    settings: Settings, chunk_size: int, axes: Axes, *, in_turn: bool | None = None
) -> optax.GradientTransformationExtraArgs:
    """Returns (1) for the transformation of runs, told their learning rates with each update.

    Args:
      settings: of any of the runs.
      chunk_size: directions of a run evaluated side by side.
      axes: of the mesh.
      in_turn: whether lanes go in turn; None: on a CPU.
    """
    if in_turn is None:
        in_turn = jax.default_backend() == "cpu"
    schedule = dataclasses.replace(settings, learning_rate=1.0).rate
    return in_lanes(at_any_rate(settings, chunk_size, axes, schedule), in_turn=in_turn)


def in_lanes(
    tx: optax.GradientTransformationExtraArgs, *, in_turn: bool
) -> optax.GradientTransformationExtraArgs:
    """Returns (1) for a transformation that is told its rate.

    `update` takes `rate` and `batch` with lanes; what else it takes is the same for all of them.
    There is no `init`: states are those of the runs, joined.
    """

    def init_fn(params):
        raise NotImplementedError("each run makes a state with its own key; join them")

    def update_fn(updates, state, params=None, *, rate, batch, **shared):
        def alone(state, params, rate, batch):
            return tx.update(updates, state, params, rate=rate, batch=batch, **shared)

        lanes = (state, params, rate, batch)
        return jax.lax.map(lambda lane: alone(*lane), lanes) if in_turn else jax.vmap(alone)(*lanes)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


@jax.jit
def join(trees: Sequence[Any]) -> Any:
    """From trees of each run to one with lanes."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@jax.jit
def _split(tree: Any) -> list[Any]:
    leaves, structure = jax.tree.flatten(tree)
    return [structure.unflatten(own) for own in zip(*leaves, strict=True)]


def split(params: Any, state: Any) -> list[Trees]:
    """From trees with lanes to copies for each run."""
    return _split((params, state))


def batches(data: Any, orders: Sequence[Any], calls: int) -> grain.MapDataset:
    """The batches of every call, each that of its run alone, padded to the longest of them.

    Args:
      data: of an objective.
      orders: the examples of each call, by run; of `training.batches`.
      calls: how many there are.
    """

    def together(call: int) -> dict[str, np.ndarray]:
        rows = [order[call] for order in orders]
        whole = np.concatenate(rows)
        return jax.tree.map(lambda *own: np.stack(own), *(data.batch(own, whole) for own in rows))

    return grain.MapDataset.range(calls).map(together)
