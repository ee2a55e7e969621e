"""MeZO-Adam: kept and replayed moments agree, with each other and with the paper's loop."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from zojax import transforms

X = {
    "a": jnp.linspace(-1.0, 1.0, 6).reshape(2, 3),
    "b": jnp.linspace(0.5, 1.0, 4),
    "w": jnp.linspace(-2.0, 1.0, 12).reshape(3, 4),
}


def loss(x):
    return sum(jnp.sum(jnp.cosh(0.5 * leaf) + 0.1 * leaf) for leaf in jax.tree.leaves(x))


def path_of(tx, steps, value_fn=loss, x=X):
    """Params after each step, and the last state."""

    def body(carry, t):
        x, state = carry
        updates, state = tx.update(None, state, x, value_fn=value_fn, t=t)
        x = optax.apply_updates(x, updates)
        return (x, state), x

    def run():
        start = (x, tx.init(x))
        return jax.lax.scan(body, start, jnp.arange(steps))

    (_, state), path = jax.jit(run)()
    return path, state


def adam_loop(x, directions, *, learning_rate, radius, b1, b2, eps):
    """Equations (1) to (3) of the card in numpy, with every direction given."""
    x = {name: np.array(leaf, np.float64) for name, leaf in x.items()}
    m = {name: np.zeros_like(leaf) for name, leaf in x.items()}
    v = {name: np.zeros_like(leaf) for name, leaf in x.items()}

    def value(x):
        return sum(np.sum(np.cosh(0.5 * leaf) + 0.1 * leaf) for leaf in x.values())

    for t, queries in enumerate(directions, start=1):
        g = {name: np.zeros_like(leaf) for name, leaf in x.items()}
        for z in queries:
            above = value({name: x[name] + radius * z[name] for name in x})
            below = value({name: x[name] - radius * z[name] for name in x})
            for name in x:
                g[name] += (above - below) / (2 * radius) * z[name] / len(queries)
        for name in x:
            m[name] = b1 * m[name] + (1 - b1) * g[name]
            v[name] = b2 * v[name] + (1 - b2) * g[name] ** 2
            corrected = m[name] / (1 - b1**t), v[name] / (1 - b2**t)
            x[name] = x[name] - learning_rate * corrected[0] / (np.sqrt(corrected[1]) + eps)
    return x


@pytest.mark.parametrize("history", [None, 5])
def test_five_updates_are_those_of_the_paper(history, key, x64):
    """To 1e-6 in float64, two queries a step."""
    x = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), X)
    numbers = {"radius": 1e-2, "b1": 0.8, "b2": 0.95, "eps": 1e-6}
    tx = zojax.mezo_adam(0.05, key, num_queries=2, history=history, **numbers)
    path, _ = path_of(tx, 5, x=x)

    @jax.jit
    def drawn(step):
        directions = zojax.gaussian().recall(key, step, 2, x)
        return [
            zojax.materialize(jax.tree.map(lambda array, k=k: array[k], directions), x)
            for k in range(2)
        ]

    directions = [jax.device_get(drawn(jnp.int32(step))) for step in range(5)]
    expected = adam_loop(x, directions, learning_rate=0.05, **numbers)
    chex.assert_trees_all_close(jax.tree.map(lambda a: a[-1], path), expected, rtol=1e-6)


KEPT = zojax.factored(1, left="haar", core="gaussian", right_period=0, left_period=3)


@pytest.mark.parametrize(
    "sampler", [zojax.gaussian(), zojax.rademacher(), KEPT], ids=["gaussian", "rademacher", "kept"]
)
def test_replayed_moments_are_the_kept_ones(sampler, key, x64):
    """Over 12 steps, one of them not taken; a basis that moves included.

    In float64, but for the scalars, which are kept in float32.
    """
    x = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), X)

    def broken_once(x, t):
        return jnp.where(t == 4, jnp.nan, loss(x))

    options = {"sampler": sampler, "num_queries": 2, "weight_decay": 0.1}
    kept, _ = path_of(zojax.mezo_adam(0.02, key, **options), 12, broken_once, x)
    replayed, state = path_of(zojax.mezo_adam(0.02, key, history=12, **options), 12, broken_once, x)
    chex.assert_trees_all_close(replayed, kept, rtol=1e-6, atol=1e-7)
    assert optax.tree.get(state, "num_nonfinite") == 1


def test_a_short_history_leaves_out_what_is_older(key):
    """With h = 1 every step is that of a fresh Adam: bias-corrected, g/(|g| + ε) = sign of g.

    Tolerance: ε / |g| of the least entries.
    """
    path, _ = path_of(zojax.mezo_adam(0.125, key, history=1, b1=0.0, b2=0.0), 4)
    moved = jax.tree.map(lambda a: jnp.abs(jnp.diff(a, axis=0)), path)
    expected = jax.tree.map(lambda a: jnp.full_like(a, 0.125), moved)
    chex.assert_trees_all_close(moved, expected, rtol=1e-5)


def test_replaying_stores_scalars(key):
    """h K of them, 2 K losses and K coefficients of the last step, the counters and the key."""
    state = zojax.mezo_adam(0.1, key, num_queries=3, history=7).init(X)
    assert optax.tree.get(state, "replayed").shape == (7, 3)
    assert sum(jnp.size(leaf) for leaf in jax.tree.leaves(state)) < 7 * 3 + 6 + 3 + 8


def test_no_tree_like_params_is_alive_while_moments_are_replayed(key):
    """Memory of a whole step with the update into donated params: these and some of 12 leaves."""
    x = {str(i): jnp.ones((192, 192)) for i in range(12)}

    def value(x, h):
        for leaf in x.values():
            h = jnp.tanh(h @ leaf)
        return jnp.sum(h)

    def memory(history):
        tx = zojax.mezo_adam(0.02, key, history=history)

        def step(x, state, h):
            updates, state = tx.update(None, state, x, value_fn=value, h=h)
            return optax.apply_updates(x, updates), state

        step = jax.jit(step, donate_argnums=(0, 1))
        compiled = step.lower(x, tx.init(x), jnp.ones((1, 192))).compile(BUFFERS_AS_USERS_HAVE)
        analysis = compiled.memory_analysis()
        return analysis.temp_size_in_bytes + analysis.argument_size_in_bytes

    weights = sum(leaf.nbytes for leaf in x.values())
    assert memory(None) >= 3 * weights  # params and two moments
    assert memory(5) < 1.8 * weights


def test_what_is_refused(key):
    with pytest.raises(ValueError, match=r"history must be an integer of at least 1, got 0"):
        zojax.mezo_adam(0.1, key, history=0)
    with pytest.raises(ValueError, match=r"b2 must be .* below 1, got 1\.0"):
        zojax.mezo_adam(0.1, key, history=3, b2=1.0)
    averaged = zojax.averaged_baseline(0.1, 2, 3)
    with pytest.raises(ValueError, match=r"use an estimator without a history"):
        transforms.estimate_then(
            optax.identity(), lambda state: state, key, zojax.gaussian(), averaged, history=3
        )


def test_a_restored_state_of_another_length_is_refused(key):
    state = zojax.mezo_adam(0.1, key, history=5).init(X)
    tx = zojax.mezo_adam(0.1, key, history=6)
    with pytest.raises(ValueError, match=r"shape \(5, 1\).*ask for \(6, 1\).*start anew"):
        jax.eval_shape(lambda: tx.update(None, state, X, value_fn=loss))
