"""Runs of an arm on a problem: the programs are compiled once for all learning rates and seeds."""

import math
import time
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import zojax
from experiments.papers.arm import Arm
from experiments.papers.problem import Problem

# A run whose loss is so many times that of its start is given up.
_HOPELESS = 100.0


class Run(NamedTuple):
    """What came of one learning rate and seed.

    Attributes:
      validation: loss at the end; inf if the run diverged.
      accuracy: on the test split at the end.
      curve: loss evaluations so far and the test loss then, from 0 on.
      evaluations: as the transformation has counted them.
    """

    validation: float
    accuracy: float
    curve: list[tuple[int, float]]
    evaluations: int

    @property
    def loss(self) -> float:
        """On the test split at the end."""
        return self.curve[-1][1]


class Runner:
    """Runs one arm.

    Args:
      arm: what runs.
      problem: what is minimised.
      looks: how often the losses are looked at.

    Raises:
      ValueError: if the evaluations of a run cannot be divided into as many equal parts.
    """

    def __init__(self, arm: Arm, problem: Problem, looks: int):
        budget = round(problem.budget * arm.share)
        if budget % (looks * arm.evaluations):
            raise ValueError(
                f"{budget} evaluations cannot be divided into {looks} equal parts of steps with "
                f"{arm.evaluations}"
            )
        self.looks = looks
        self.steps = budget // arm.evaluations // looks
        self._start, self._advance = _programs(arm, problem, self.steps, looks)
        self._scores = jax.jit(problem.scores)

    def run(self, rate: float, seed: int) -> Run:
        """One run."""
        rate = np.float32(rate)
        carry = self._start(rate, seed)
        spent = [0]
        scores = [self._looked(carry)]
        for look in range(self.looks):
            carry = self._advance(carry, rate, seed, look)
            spent.append(int(zojax.state_field(carry[1], "num_evaluations")))
            scores.append(self._looked(carry))
            if not scores[-1][1] < _HOPELESS * scores[0][1]:
                scores[-1] = (math.inf, math.inf, math.nan)
                break
        curve = [(count, test) for count, (_, test, _) in zip(spent, scores, strict=True)]
        return Run(scores[-1][0], scores[-1][2], curve, spent[-1])

    def _looked(self, carry: Any) -> tuple[float, ...]:
        return tuple(float(score) for score in self._scores(carry[0]))

    def seconds_a_step(self, rate: float, other: "Runner", rounds: int) -> tuple[float, float]:
        """Of this arm and of another one, the medians of stretches that take turns."""
        found: tuple[list[float], list[float]] = ([], [])
        carries = [(runner, runner._start(np.float32(rate), 0)) for runner in (self, other)]
        for _ in range(rounds + 1):
            for times, (runner, carry) in zip(found, carries, strict=True):
                clock = time.perf_counter()
                jax.block_until_ready(runner._advance(carry, np.float32(rate), 0, 0))
                times.append((time.perf_counter() - clock) / runner.steps)
        return float(np.median(found[0][1:])), float(np.median(found[1][1:]))  # the first compiles


def _programs(arm: Arm, problem: Problem, steps: int, looks: int) -> tuple[Any, Any]:
    """Jitted `start(rate, seed)` and `advance(carry, rate, seed, look)`, of `steps` steps."""

    def keys(seed: jax.Array) -> jax.Array:
        return jax.random.split(jax.random.key(seed), 3)

    def transformation(rate: jax.Array, seed: jax.Array) -> optax.GradientTransformationExtraArgs:
        return arm.make(rate, keys(seed)[0], steps * looks)

    @jax.jit
    def start(rate: jax.Array, seed: jax.Array) -> tuple[Any, Any]:
        params = problem.start(keys(seed)[1])
        return params, transformation(rate, seed).init(params)

    @jax.jit
    def advance(carry: Any, rate: jax.Array, seed: jax.Array, look: jax.Array) -> Any:
        tx = transformation(rate, seed)

        def step(carry: Any, count: jax.Array) -> tuple[Any, None]:
            params, state = carry
            data = problem.draw(jax.random.fold_in(keys(seed)[2], look * steps + count))
            updates, state = tx.update(None, state, params, value_fn=problem.loss, data=data)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, carry, np.arange(steps))[0]

    return start, advance
