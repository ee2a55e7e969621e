"""One configuration of the synthetic experiment: a function, a rule and an estimator."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import zojax
from experiments._functions import FUNCTIONS
from experiments._synthetic_settings import Settings

POINTS = 80
B1, B2, EPS = 0.9, 0.99, 1e-8


class Configuration(NamedTuple):
    """What distinguishes the runs of one experiment."""

    function: str
    rule: str
    estimator: str


def estimator(name: str, settings: Settings) -> zojax.Estimator:
    radius, num_queries = settings.radius, settings.num_queries
    if name == "Vanilla":
        return zojax.forward(radius, num_queries)
    history = 0 if name == "ZoAR-0" else settings.history
    return zojax.averaged_baseline(radius, num_queries, history)


def rule(name: str) -> optax.GradientTransformation:
    """Both as the authors run them: no bias correction, and ZO-AdaMM without its maximum."""
    if name == "R-AdaZO":
        return zojax.scale_by_r_adazo(B1, B2, EPS)
    return zojax.scale_by_zo_adamm(B1, B2, EPS, amsgrad=False)


def run(configuration: Configuration, settings: Settings) -> dict[str, Any]:
    """Runs all seeds one after another and returns the record of it.

    Returns:
      The configuration, `steps` at which the loss was looked at, `values` (seeds, steps),
      `num_nonfinite` updates withheld, and `seconds` with compiling.
    """
    clock = time.perf_counter()
    loss = FUNCTIONS[configuration.function]
    begin, advance = _programs(configuration, settings, loss)
    steps = np.unique(np.linspace(0, settings.steps, POINTS + 1).round().astype(int))
    values, withheld = [], 0
    for seed in settings.seeds:
        params, state = begin(jax.random.key(seed))
        losses = [loss(params)]
        for count in np.diff(steps):
            params, state, value = advance(params, state, int(count))
            losses.append(value.block_until_ready())  # between two calls it can be interrupted
        values.append([float(value) for value in losses])
        withheld += int(zojax.state_field(state, "num_nonfinite"))
    return configuration._asdict() | {
        "steps": steps.tolist(),
        "values": values,
        "num_nonfinite": withheld,
        "seconds": round(time.perf_counter() - clock, 1),
    }


def _programs(
    configuration: Configuration, settings: Settings, loss: Callable[[jax.Array], jax.Array]
) -> tuple[Callable, Callable]:
    """Jitted `begin(key)` and `advance(params, state, count)`, compiled once for all seeds."""

    def transformation(key: jax.Array) -> optax.GradientTransformationExtraArgs:
        estimate = zojax.estimate_gradient(
            key,
            zojax.gaussian(),
            estimator(configuration.estimator, settings),
            chunk_size=settings.num_queries,
        )
        scale = optax.scale_by_learning_rate(settings.learning_rate)
        return zojax.skip_nonfinite(optax.chain(estimate, rule(configuration.rule), scale))

    @jax.jit
    def begin(key: jax.Array) -> tuple[jax.Array, Any]:
        start, run = jax.random.split(key)
        params = jax.random.normal(start, (settings.dim,))
        return params, transformation(run).init(params)

    @jax.jit
    def advance(params: jax.Array, state: Any, count: int) -> tuple[jax.Array, Any, jax.Array]:
        tx = transformation(zojax.state_field(state, "key"))

        def step(_: int, carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
            params, state = carry
            updates, state = tx.update(None, state, params, value_fn=loss)
            return optax.apply_updates(params, updates), state

        params, state = jax.lax.fori_loop(0, count, step, (params, state))
        return params, state, loss(params)

    return begin, advance
