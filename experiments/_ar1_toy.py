"""A least-squares problem for adapters whose every evaluation is noisy.

    f(A, B) = ½ ‖s A B - W*‖² + σ ξ,    ξ ~ N(0, 1) anew in every evaluation

W* is 16 by 16, of rank 4 and norm 5; A ~ N(0, 1/16) and B = 0.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import zojax

SIDE, TARGET_RANK, TARGET_NORM = 16, 4, 5.0
# η s² in half decades: a good η goes as 1/s², so one grid serves both scales.
GRID = 10 ** np.arange(-7.0, 0.1, 0.5)
METHODS = {"full": zojax.mezo, "atom": zojax.ar1_zo}


class Problem(NamedTuple):
    """What differs between the runs of one method at one rank.

    Attributes:
      scale: s.
      noise: σ.
      seed: of W*, A, the directions and ξ.
    """

    scale: jax.Array
    noise: jax.Array
    seed: jax.Array


def final_losses(
    method: str, rank: int, scales: list[float], noises: list[float], seeds: int, steps: int
) -> np.ndarray:
    """Noise-free loss after the run over the one before it, (scale, noise, seed, GRID).

    All of them are one program. A run that diverged has inf.
    """
    run = functools.partial(_run, METHODS[method], rank, steps)
    run = jax.vmap(run, in_axes=(0, None))
    # One axis after another, so that what depends on the seed alone is drawn once a seed.
    for axes in (Problem(None, None, 0), Problem(None, 0, None), Problem(0, None, None)):
        run = jax.vmap(run, in_axes=(None, axes))
    problems = Problem(jnp.array(scales), jnp.array(noises), jnp.arange(seeds))
    ratios = np.asarray(jax.jit(run)(jnp.array(GRID, jnp.float32), problems))
    return np.where(np.isfinite(ratios), ratios, np.inf)


def _run(method, rank: int, steps: int, rate: jax.Array, problem: Problem) -> jax.Array:
    key = jax.random.fold_in(jax.random.key(0), problem.seed)
    target, params = _start(key, rank)
    tx = method(rate / problem.scale**2, key, radius=1e-2)

    def step(carry, count):
        params, state = carry
        updates, state = tx.update(
            None,
            state,
            params,
            value_fn=_noisy,
            target=target,
            problem=problem,
            key=jax.random.fold_in(key, steps + count),
        )
        return (optax.apply_updates(params, updates), state), None

    (end, _), _ = jax.lax.scan(step, (params, tx.init(params)), jnp.arange(steps))
    return _loss(end, target, problem.scale) / _loss(params, target, problem.scale)


def _start(key: jax.Array, rank: int):
    left, right, factor = jax.random.split(key, 3)
    target = jax.random.normal(left, (SIDE, TARGET_RANK)) @ jax.random.normal(
        right, (TARGET_RANK, SIDE)
    )
    target = target * TARGET_NORM / jnp.linalg.norm(target)
    a = jax.random.normal(factor, (SIDE, rank)) / SIDE**0.5
    return target, {"lora_a": a, "lora_b": jnp.zeros((rank, SIDE))}


def _loss(params, target: jax.Array, scale: jax.Array) -> jax.Array:
    return jnp.sum((scale * params["lora_a"] @ params["lora_b"] - target) ** 2) / 2


def _noisy(params, target: jax.Array, problem: Problem, key: jax.Array) -> jax.Array:
    return with_noise(_loss(params, target, problem.scale), problem.noise, key)


def with_noise(value: jax.Array, noise: jax.Array | float, key: jax.Array) -> jax.Array:
    """The loss plus noise of its own.

    All points of a step see the same key, as they do with dropout; for noise that differs from
    point to point, as that of rounding does, the bits of the loss itself are mixed in.
    """
    key = jax.random.fold_in(key, jax.lax.bitcast_convert_type(value, jnp.uint32))
    return value + noise * jax.random.normal(key)
