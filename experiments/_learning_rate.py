"""A learning rate that a short range test finds before the run.

From the same weights, with the same batches and directions, the method makes 16 updates at each of
several rates, from a high one downwards. A rate η is judged by

    D(η) = mean of f_t(η) - f_t(0) over the last half of the updates                            (1)

where f_t are the losses that update t probes anyway. Both runs see the same batches, so what
batches differ by cancels. The rate with the least D is taken; the search ends where two lower rates
were worse. For plain descent it begins no higher than the edge of stability, 2 K / Tr H with the
curvature of `_curvature.py` along 8 directions.

The weights wait in the memory of the host and are put back before each rate, so that the test takes
no more memory of a device than the run. The same seed gives the same rate.
"""

import dataclasses
import json
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console

import zojax
from experiments._curvature import measure_curvature
from experiments._job import Job, run_key
from experiments._methods import METHODS
from experiments._processes import agree_rate, is_first
from experiments._settings import Settings
from experiments._status import showing
from experiments._weights_on_host import WeightsOnHost
from zojax import training

_FILE = "learning_rate.json"
UPDATES = 16
FACTOR = 10**0.5
# Times the rate that suits the shipped model, which is a small one: larger models want less.
HIGHEST, LOWEST = 30.0, 1e-5
DIRECTIONS = 8


class RateChoice(NamedTuple):
    """A learning rate, and what it was chosen from.

    Attributes:
      learning_rate: the choice.
      tried: (η, D) of (1) in the order of the trials; D is None where a loss was not finite.
      edge: 2 K / Tr H; None where it is no bound, or the curvature is not positive.
      loss_evaluations: of the whole test, each on a batch.
    """

    learning_rate: float
    tried: tuple[tuple[float, float | None], ...]
    edge: float | None
    loss_evaluations: int

    def __str__(self) -> str:
        tried = ", ".join(
            f"{rate:.2g}: {'not finite' if change is None else f'{change:+.4f}'}"
            for rate, change in self.tried
        )
        edge = "" if self.edge is None else f"; the curvature allows {self.edge:.2g}"
        return (
            f"{self.learning_rate:.3g}, of losses after {UPDATES} updates ({tried}{edge}); "
            f"{self.loss_evaluations:,} loss evaluations"
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
            path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return dataclasses.replace(settings, learning_rate=rate), params


def _search(
    settings: Settings, job: Job, loss: Callable[..., jax.Array], chunk_size: int
) -> tuple[RateChoice, Any]:
    axes = job.layout.step_axes
    recipe = METHODS[settings.method]
    batches = _batches(settings, job)
    edge, spent = None, 0
    if recipe.is_descent:
        edge, spent = _edge(settings, job, loss, batches[0]), 2 * DIRECTIONS + 1
    tx = _at_any_rate(settings, chunk_size, axes)
    lies = jax.tree.map(lambda leaf: leaf.sharding, job.params), job.layout.of_state(tx, job.params)
    step = training.make_step(tx, loss, shardings=lies)
    init = jax.jit(tx.init, out_shardings=lies[1])
    weights = WeightsOnHost(job.params)

    def losses(rate: float) -> np.ndarray:
        nonlocal spent
        params, measured = weights.put_back(), []
        state = init(params)
        for batch in batches:
            params, state, of_step = step(
                params, state, frozen=job.frozen, batch=batch, rate=jnp.float32(rate)
            )
            measured.append(of_step["value"])
        spent += int(of_step["num_evaluations"]) // settings.accumulate
        weights.drop(params)
        whole = np.array(jax.device_get(measured))[settings.accumulate - 1 :: settings.accumulate]
        return whole[UPDATES // 2 :]

    base = losses(0.0)
    highest = HIGHEST * recipe.rate(settings.adapter)
    lowest = LOWEST * recipe.rate(settings.adapter)
    tried = search(
        lambda rate: float(np.mean(losses(rate) - base)),
        highest=highest if edge is None else min(edge, highest),
        lowest=lowest,
    )
    choice = RateChoice(best_of(tried), tuple(tried.items()), edge, spent)
    return choice, weights.put_back()


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
    rate, worse, least = highest, 0, 0.0
    while rate >= lowest and worse < 2:
        found = change(rate)
        tried[rate] = found if np.isfinite(found) else None
        if found < least:
            least, worse = found, 0
        elif least < 0:
            worse += 1
        rate /= FACTOR
    return tried


def best_of(tried: dict[float, float | None]) -> float:
    """The rate with the least change, rounded to three digits.

    Raises:
      ValueError: if no rate lowered the loss.
    """
    falls = {rate: change for rate, change in tried.items() if change is not None and change < 0}
    if not falls:
        raise ValueError(
            f"learning_rate auto: none of {len(tried)} rates from {max(tried):.2g} to "
            f"{min(tried):.2g} lowered the loss in {UPDATES} updates; give a number"
        )
    return float(f"{min(falls, key=falls.get):.3g}")


def _at_any_rate(
    settings: Settings, chunk_size: int, axes: zojax.Axes
) -> optax.GradientTransformationExtraArgs:
    """The method of a run, told the rate with each update: one program for all rates."""
    names = ("radius", "num_queries", "sampler", "sampler_rank")
    names += ("weight_decay", "weight_decay_mask", "accumulate")
    given = {name: getattr(settings, name) for name in names}

    def make(rate: Any) -> optax.GradientTransformationExtraArgs:
        numbers = types.SimpleNamespace(**given, rate=rate)
        return METHODS[settings.method].make(numbers, run_key(settings), chunk_size, axes)

    def update_fn(updates, state, params=None, *, rate, **data):
        return make(rate).update(updates, state, params, **data)

    return optax.GradientTransformationExtraArgs(make(1.0).init, update_fn)


def _batches(settings: Settings, job: Job) -> list[dict[str, jax.Array]]:
    """The first batches of the run, or parts of them, all padded to one length."""
    data, calls = job.objective.data, UPDATES * settings.accumulate
    order = training.batches(len(data.lengths()), settings.part_size, settings.seed)
    rows = [order[call] for call in range(calls)]
    together = np.concatenate(rows)
    return [job.layout.assemble(data.batch(job.layout.own(part), together)) for part in rows]


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
