"""The table of methods that the contract is tested on, and a step as a user writes it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

import zojax
from zojax import methods


class Row(NamedTuple):
    """A method under test.

    Attributes:
      make: (learning_rate, key, **options) -> the transformation.
      options: keyword arguments of `make`.
      evaluations: losses a step.
      improvement: by what the quadratic shrinks in 150 steps, at least.
      learning_rate: for that.
      static: options that fix shapes.
    """

    make: Callable[..., optax.GradientTransformationExtraArgs]
    options: dict[str, Any]
    evaluations: int
    improvement: float = 20.0
    learning_rate: float = 0.02
    static: tuple[str, ...] = ("num_queries",)


KEPT = zojax.factored(1, left="haar", core="gaussian", right_period=3)
# What each method promises with options that use all of its state.
METHODS = {
    "mezo": Row(methods.mezo, {"num_queries": 2, "sampler": KEPT, "weight_decay": 1e-3}, 4),
}
ROWS = {
    **METHODS,
    "mezo gaussian": Row(methods.mezo, {}, 2),
    "mezo rademacher": Row(methods.mezo, {"sampler": zojax.rademacher()}, 2),
    "mezo sphere": Row(methods.mezo, {"sampler": zojax.sphere()}, 2),
    "mezo coordinate": Row(methods.mezo, {"sampler": zojax.coordinate()}, 2),
    "mezo factored": Row(methods.mezo, {"sampler": zojax.factored(1)}, 2),
}
# Two dtypes side by side: a bfloat16 leaf must not change what a float32 one gets.
PARAMS = {"half": jnp.ones(3, jnp.bfloat16), "w": jnp.full((2, 3), -2.0, jnp.float32)}
# Programs that are compared with each other round differently, which bfloat16 would magnify.
SINGLE = {"b": jnp.zeros(3), "w": jnp.full((2, 3), -2.0, jnp.float32)}


def quadratic(x, target):
    return sum(jnp.sum((leaf.astype(jnp.float32) - target) ** 2) for leaf in jax.tree.leaves(x))


def build(row, key):
    return row.make(row.learning_rate, key, **row.options)


def step_of(tx):
    """One step as a user writes it, with an extra argument that nobody asked for."""

    def step(params, state, target=1.0):
        incoming = optax.tree.zeros_like(params)
        updates, state = tx.update(
            incoming, state, params, value_fn=quadratic, target=target, unknown=jnp.ones(2)
        )
        return updates, state

    return step


def traced_once(fn):
    """`fn` under jit, refusing a second trace; chex counts by name, so the count is cleared."""
    chex.clear_trace_counter()
    return jax.jit(chex.assert_max_traces(fn, n=1))


def run(tx, params, count):
    """Params and state after `count` steps inside one scan."""

    def body(carry, _):
        params, state = carry
        updates, state = step_of(tx)(params, state)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(body, (params, tx.init(params)), length=count)[0]
