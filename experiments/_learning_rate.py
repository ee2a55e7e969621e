"""A learning rate that a range test finds before the run.

From the same weights, with the same batches and directions, the method makes 64 updates at each of
several rates η, half a decade apart, from a high one downwards. A rate is judged by

    D(η) = mean over the last quarter of the updates t of f_t(η) - f_t(0)                       (1)

where f_t(η) are the losses that update t probes anyway and f_t(0) that of its batch at the start. A
rate is given up as soon as the losses of eight updates are twice as large as at the start, and the
search ends at the first rate that lowers them less than the one above. What is taken is half a
decade below the best: a run is longer than the test, and comes to places of more curvature.

For plain descent the search begins no higher than the edge of stability, 2 K / Tr H, with the
curvature of `_curvature.py` along eight directions. It bounds little where a model knows nothing of
a task: there the loss is flat, and the curvature grows as it learns.

The weights wait in the memory of the host and are put back before each rate, so that the test takes
no more memory of a device than the run. The same seed gives the same rate.
"""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from experiments._curvature import measure_curvature
from experiments._job import Job, run_key
from experiments._methods import METHODS
from experiments._optimizer import at_any_rate
from experiments._processes import agree_rate, is_first
from experiments._settings import Settings
from experiments._status import showing
from experiments._weights_on_host import WeightsOnHost
from zojax import training

_FILE = "learning_rate.json"
UPDATES = 64
_STRETCH = 8  # updates between two looks
_LAST = UPDATES // 4
FACTOR = 10**0.5
# Times the rate that suits the shipped model, which is a small one: larger models want less.
HIGHEST, LOWEST = 30.0, 1e-5
DIRECTIONS = 8


class RateChoice(NamedTuple):
    """A learning rate, and what it was chosen from.

    Attributes:
      learning_rate: the choice.
      tried: (η, D) of (1) in the order of the trials; D is None where a rate was given up.
      edge: 2 K / Tr H; None where it is no bound, or the curvature is not positive.
      loss_evaluations: of the whole test, each on a batch.
    """

    learning_rate: float
    tried: tuple[tuple[float, float | None], ...]
    edge: float | None
    loss_evaluations: int

    def __str__(self) -> str:
        tried = ", ".join(
            f"{rate:.2g}: {'grows' if change is None else f'{change:+.4f}'}"
            for rate, change in self.tried
        )
        edge = "" if self.edge is None else f"; the curvature allows {self.edge:.2g}"
        return (
            f"{self.learning_rate:.3g}, half a decade below the best in {UPDATES} updates "
            f"(change of the loss at {tried}{edge}); {self.loss_evaluations:,} loss evaluations"
        )


def choose_learning_rate(
    settings: Settings, job: Job, loss: Callable[..., jax.Array], chunk_size: int, console: Console
) -> tuple[Settings, Any]:
    """Returns settings with a number for the learning rate, and the params as they were.

    What was found is printed, and kept in the folder of the run: a resumed run goes on with it. The
    arrays of `job.params` may be used up.

    Raises:
      ValueError: if no rate lowers the loss.
    """
    if settings.learning_rate != "auto":
        return settings, job.params
    path, params = settings.out / _FILE, job.params
    kept = json.loads(path.read_text(encoding="utf-8")) if is_first() and path.exists() else {}
    rate = agree_rate(kept.get("learning_rate", 0.0))
    if rate:
        _print(console, f"{kept.get('choice')} (found when the run began)")
    else:
        with showing(console, "trying learning rates"):
            choice, params = _search(settings, job, loss, chunk_size)
        rate = agree_rate(choice.learning_rate)
        _print(console, str(choice))
        if is_first():
            kept = choice._asdict() | {"choice": str(choice)}
            training.write_atomically(path, json.dumps(kept, indent=2) + "\n")
    return dataclasses.replace(settings, learning_rate=rate), params


def _search(
    settings: Settings, job: Job, loss: Callable[..., jax.Array], chunk_size: int
) -> tuple[RateChoice, Any]:
    axes = job.layout.step_axes
    recipe = METHODS[settings.method]
    batches = _batches(settings, job)
    edge, spent = None, 0
    if recipe.is_descent:
        edge, spent = _edge(settings, job, loss, batches[0][0]), 2 * DIRECTIONS + 1
    tx = at_any_rate(dataclasses.replace(settings, ema_decay=None), chunk_size, axes)
    lies = jax.tree.map(lambda leaf: leaf.sharding, job.params), job.layout.of_state(tx, job.params)
    step = training.make_step(tx, loss, shardings=lies)
    init = jax.jit(tx.init, out_shardings=lies[1])
    start = _at_start(job, loss, batches)
    spent += UPDATES
    weights = WeightsOnHost(job.params)

    def change(rate: float) -> float:
        nonlocal spent
        params, measured = weights.put_back(), []
        state = init(params)
        for update, parts in enumerate(batches, start=1):
            for batch in parts:
                params, state, of_step = step(
                    params, state, frozen=job.frozen, batch=batch, rate=jnp.float32(rate)
                )
            measured.append(of_step["value"])
            if update % _STRETCH == 0 and not _holds(measured, start[:update]):
                break
        spent += int(of_step["num_evaluations"]) // settings.accumulate
        weights.drop(params)
        if update < UPDATES:
            return math.inf
        return float(np.mean(jax.device_get(measured[-_LAST:]) - start[-_LAST:]))

    highest, lowest = (share * recipe.rate(settings.adapter) for share in (HIGHEST, LOWEST))
    highest = highest if edge is None else min(edge, highest)
    tried = search(change, highest=highest, lowest=lowest)
    return RateChoice(below_best(tried), tuple(tried.items()), edge, spent), weights.put_back()


def _holds(measured: list[jax.Array], start: np.ndarray) -> bool:
    """Whether the last losses are finite, and not twice as large as at the start."""
    found = np.mean(jax.device_get(measured[-_STRETCH:]))
    return bool(found <= 2 * np.mean(start[-_STRETCH:]))


def search(
    change: Callable[[float], float], *, highest: float, lowest: float
) -> dict[float, float | None]:
    """Returns D of (1) by rate, from the highest rate on; None where it is not finite.

    Args:
      change: D of a rate.
      highest: the first rate that is tried.
      lowest: none below is tried.
    """
    tried: dict[float, float | None] = {}
    rate, least = highest, 0.0
    while rate >= lowest:
        found = change(rate)
        tried[rate] = found if math.isfinite(found) else None
        if least < 0 and not found < least:
            break
        least = min(least, found) if math.isfinite(found) else least
        rate /= FACTOR
    return tried


def below_best(tried: dict[float, float | None]) -> float:
    """Half a decade below the rate with the least change, rounded to three digits.

    Raises:
      ValueError: if no rate lowered the loss.
    """
    falls = {rate: change for rate, change in tried.items() if change is not None and change < 0}
    if not falls:
        raise ValueError(
            f"learning_rate auto: none of {len(tried)} rates from {max(tried):.2g} to "
            f"{min(tried):.2g} lowered the loss in {UPDATES} updates; give a number"
        )
    return float(f"{min(falls, key=falls.get) / FACTOR:.3g}")


def _batches(settings: Settings, job: Job) -> list[list[dict[str, jax.Array]]]:
    """The first batches of the run, in their parts, all padded to one length."""
    data, calls = job.objective.data, UPDATES * settings.accumulate
    order = training.batches(len(data.lengths()), settings.part_size, settings.seed)
    rows = [order[call] for call in range(calls)]
    together = np.concatenate(rows)
    parts = [job.layout.assemble(data.batch(job.layout.own(part), together)) for part in rows]
    return [parts[i : i + settings.accumulate] for i in range(0, calls, settings.accumulate)]


def _at_start(
    job: Job, loss: Callable[..., jax.Array], batches: list[list[dict[str, jax.Array]]]
) -> np.ndarray:
    """The loss of every batch at the start, (UPDATES,)."""
    forward = jax.jit(loss)
    found = [[forward(job.params, job.frozen, part) for part in parts] for parts in batches]
    return np.mean(jax.device_get(found), axis=1)


def _edge(
    settings: Settings, job: Job, loss: Callable[..., jax.Array], batch: dict[str, jax.Array]
) -> float | None:
    """2 K / Tr H; None where the curvature is not positive."""

    @jax.jit
    def curvature(params, frozen, batch):
        return measure_curvature(
            lambda params: loss(params, frozen, batch),
            params,
            run_key(settings),
            0,
            radius=settings.radius,
            num_directions=DIRECTIONS,
            axes=job.layout.step_axes,
        )

    trace = float(curvature(job.params, job.frozen, batch))
    return 2 * settings.num_queries / trace if trace > 0 else None


def _print(console: Console, text: str) -> None:
    console.print(f"[bold]rate   [/]{text}", highlight=False, soft_wrap=not console.is_terminal)
