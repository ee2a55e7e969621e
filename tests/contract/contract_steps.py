"""The loss that the contract is tested on, and a step as a user writes it."""

import chex
import jax
import jax.numpy as jnp
import optax

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
