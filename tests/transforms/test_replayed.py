"""Rules whose moments are made again from coefficients: they are the rules with moments kept."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

import zojax

X = {"b": jnp.linspace(0.5, 1.0, 4), "w": jnp.linspace(-2.0, 1.0, 12).reshape(3, 4)}
METHODS = {
    "r_adazo": (zojax.r_adazo, {"warmup_steps": 3}),
    "zo_adamm": (zojax.zo_adamm, {"box": (-1.5, 1.5)}),
    "zo_rmsprop": (zojax.zo_rmsprop, {}),
}


def loss(x):
    return sum(jnp.sum(jnp.cosh(0.5 * leaf) + 0.1 * leaf) for leaf in jax.tree.leaves(x))


def path_of(tx, steps, x, value_fn):
    """Params after each of the steps."""

    def body(carry, t):
        x, state = carry
        updates, state = tx.update(None, state, x, value_fn=value_fn, t=t)
        x = optax.apply_updates(x, updates)
        return (x, state), x

    return jax.jit(lambda: jax.lax.scan(body, (x, tx.init(x)), jnp.arange(steps))[1])()


@pytest.mark.parametrize("name", METHODS)
def test_within_the_history_they_are_the_kept_ones(name, key, x64):
    """One step of them not taken. In float64, but for the scalars, which are kept in float32."""
    make, options = METHODS[name]
    x = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), X)

    def broken_once(x, t):
        return jnp.where(t == 4, jnp.nan, loss(x))

    kept, replayed = (
        path_of(make(0.02, key, num_queries=2, history=history, **options), 8, x, broken_once)
        for history in (None, 8)
    )
    chex.assert_trees_all_close(replayed, kept, rtol=1e-6, atol=1e-7)


def test_later_it_is_the_rule_started_so_many_steps_ago(key, x64):
    """On a linear loss, whose estimates do not depend on where they are made."""
    x = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), X)
    steps, history = 7, 3

    def linear(x, t):
        return sum(jnp.sum(jnp.arange(leaf.size).reshape(leaf.shape) * leaf) for leaf in x.values())

    tx = zojax.r_adazo(0.1, key, num_queries=1, history=history)
    path = path_of(tx, steps, x, linear)
    slope = jax.grad(lambda x: linear(x, 0))(x)
    rule = zojax.scale_by_r_adazo()
    state = rule.init(x)
    for step in range(steps - history, steps):
        directions = zojax.gaussian().recall(key, jnp.int32(step), 1, x)
        z = zojax.materialize(jax.tree.map(lambda array: array[0], directions), x)
        c = optax.tree.vdot(slope, z)
        update, state = rule.update(optax.tree.scale(c, z), state)
    moved = jax.tree.map(lambda leaf: leaf[-1] - leaf[-2], path)
    chex.assert_trees_all_close(moved, optax.tree.scale(-0.1, update), rtol=1e-5)


def test_it_stores_scalars(key):
    """h K of them in the place of two trees like params."""
    states = [zojax.r_adazo(0.1, key, history=history).init(X) for history in (None, 5)]
    kept, replayed = (sum(map(jnp.size, jax.tree.leaves(state))) for state in states)
    assert replayed - (kept - 2 * 16 - 1) == 5 * 10  # and a counter of updates less
