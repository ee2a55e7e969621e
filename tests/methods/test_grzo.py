"""GRZO is the loop of its paper: a direction for each example, at the price of one pair."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.methods.taped import FEATURES, LABELS, START
from tests.reference.grzo import grzo as reference

EXAMPLES = len(FEATURES)
BATCH = {"features": FEATURES, "labels": LABELS}


def loss(x, batch, numbers=jnp):
    logits = numbers.tanh(batch["features"] @ x["hidden"]) @ x["out"] + x["b"]
    return numbers.mean(numbers.log1p(numbers.exp(-batch["labels"] * logits)))


def of_example(x, example):
    return loss(x, {name: rows[example : example + 1] for name, rows in BATCH.items()}, np)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_eight_steps_equal_the_papers_loop(weight_decay, key, x64):
    """Fed the same noise and signs; each example with a direction of its own."""
    options = {"learning_rate": 2e-3, "radius": 1e-2, "weight_decay": weight_decay}
    tx = zojax.grzo(key=key, num_queries=EXAMPLES, **options)
    sampler, batch = zojax.flipped(), jax.tree.map(jnp.asarray, BATCH)

    def step(carry, count):
        x, state = carry
        directions, _ = sampler.draw((), key, count, EXAMPLES, x)
        updates, state = tx.update(None, state, x, value_fn=loss, batch=batch)
        return (optax.apply_updates(x, updates), state), directions

    @jax.jit
    def run(x):
        return jax.lax.scan(step, (x, tx.init(x)), jnp.arange(8, dtype=jnp.int32))

    (found, state), tape = run(jax.tree.map(jnp.asarray, START))
    recipes = dict(zip(START, tape, strict=True))
    noise, signs = [], []
    for count in range(8):
        at = jax.tree.map(lambda array, count=count: array[count], recipes)
        draw = lambda recipe, like: recipe.noise.draw(like.shape)  # noqa: E731
        noise.append(
            {
                name: np.float64(draw(jax.tree.map(lambda a: a[0], at[name]), like))
                for name, like in START.items()
            }
        )
        signs.append([_signs(at, example) for example in range(EXAMPLES)])
    expected = reference(of_example, START, noise, signs, **options)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-7)
        assert (found[name] != START[name]).all()
    assert optax.tree.get(state, "num_evaluations") == 8 * 2


def _signs(recipes, example):
    """(s, t) of each matrix; of a vector both in one."""
    flips = {}
    for name, recipe in recipes.items():
        left, right = (
            np.float64(f[example, ..., 0]) for f in (recipe.signs.left, recipe.signs.right)
        )
        flips[name] = (left, right) if right.ndim else (left * right,)
    return flips


@functools.partial(jax.jit, static_argnums=0)
def first_update(num_queries, scale=1.0, shift=0.0, radius=0.25):
    """Of a linear loss whose rows differ."""
    x, slopes = jnp.zeros(5), jnp.sin(jnp.arange(40.0)).reshape(8, 5) + 1
    tx = zojax.grzo(1.0, jax.random.key(0), radius=radius, num_queries=num_queries, epsilon=0.0)
    updates, _ = tx.update(
        None,
        tx.init(x),
        x,
        value_fn=lambda x, batch: scale * jnp.mean(batch @ x) + shift,
        batch=slopes,
    )
    return updates


def test_neither_the_scale_nor_the_level_of_the_loss_matters():
    plain = first_update(8)
    assert np.abs(plain).max() > 0.1
    for changed in ((64.0, 0.0), (1.0, 16.0)):
        np.testing.assert_allclose(first_update(8, *changed), plain, rtol=5e-5)
    np.testing.assert_allclose(4 * first_update(8, radius=1.0), plain, rtol=2e-5)


def test_an_update_is_the_sum_of_normalized_slopes_along_each_direction(key):
    """-η/(2 ε K) Σ_k a_k z_k with the losses that the state has kept, materialized directions."""
    x = jax.tree.map(jnp.float32, START)
    tx = zojax.grzo(0.5, key, radius=0.125, num_queries=4)
    sampler, batch = zojax.flipped(), jax.tree.map(jnp.float32, BATCH)

    @jax.jit
    def both():
        updates, state = tx.update(None, tx.init(x), x, value_fn=loss, batch=batch)
        directions, _ = sampler.draw((), key, jnp.int32(0), 4, x)
        z = jax.vmap(lambda one: zojax.materialize(one, x))(directions)
        return updates, optax.tree.get(state, "last_losses"), z

    updates, losses, z = both()
    above, below = np.float64(losses).reshape(4, 2).T
    a = (above - below) / (np.std(above - below) + 1e-8)
    for name, value in updates.items():
        expected = -0.5 / (2 * 0.125 * 4) * np.tensordot(a, z[name], 1)
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


def test_a_flat_loss_moves_nothing(key):
    x = jnp.ones(3)
    tx = zojax.grzo(0.1, key, num_queries=2)
    update, state = tx.update(
        None, tx.init(x), x, value_fn=lambda x, batch: jnp.mean(batch), batch=jnp.ones((4, 2))
    )
    np.testing.assert_array_equal(update, 0.0)
    assert optax.tree.get(state, "num_nonfinite") == 0


def test_examples_in_groups_are_examples_of_the_mean(key):
    """K = 2 of 8 examples: each direction sees the mean over four of them."""
    x, batch = jax.tree.map(jnp.float32, START), jax.tree.map(jnp.float32, BATCH)
    tx = zojax.grzo(0.1, key, radius=0.1, num_queries=2)
    _, state = jax.jit(lambda x: tx.update(None, tx.init(x), x, value_fn=loss, batch=batch))(x)
    directions, _ = zojax.flipped().draw((), key, jnp.int32(0), 2, x)
    found = optax.tree.get(state, "last_losses").reshape(2, 2)
    for k, part in enumerate((slice(0, 4), slice(4, 8))):
        z = zojax.materialize(jax.tree.map(lambda a, k=k: a[k], directions), x)
        rows = jax.tree.map(lambda rows, part=part: rows[part], batch)
        for point, radius in enumerate((0.1, -0.1)):
            there = jax.tree.map(lambda x, z, r=radius: x + r * z, x, z)
            np.testing.assert_allclose(found[k, point], loss(there, rows), rtol=1e-5)


def test_in_the_span_of_inputs_each_example_has_a_direction_of_its_own(key):
    """Features of rank 2 in 6 dimensions: an update lies in their span."""
    rng = np.random.default_rng(0)
    spanning = rng.normal(size=(2, 6))
    features = np.float32(rng.normal(size=(8, 2)) @ spanning)
    targets = np.float32(rng.normal(size=(8, 9)))
    tx = zojax.grzo(1.0, key, num_queries=4, sampler=zojax.activation_guided(2), radius=1e-2)

    def value_fn(x, batch):
        return jnp.mean((batch["features"] @ x["w"] - batch["targets"]) ** 2)

    @jax.jit
    def step(x):
        batch = {"features": features, "targets": targets}
        return tx.update(None, tx.init(x), x, value_fn=value_fn, batch=batch)

    updates, state = step({"w": jnp.zeros((6, 9))})
    update = np.asarray(updates["w"])
    outside = np.eye(6) - np.linalg.pinv(spanning) @ spanning
    assert np.abs(outside @ update).max() < 1e-4 * np.abs(update).max()
    assert np.linalg.matrix_rank(update, tol=1e-4 * np.abs(update).max()) == 2
    losses = optax.tree.get(state, "last_losses")
    assert losses.shape == (1 + 2 * 4,)
    assert optax.tree.get(state, "num_evaluations") == 3
    # Examples differ, and so do their directions.
    assert len({round(float(loss), 5) for loss in losses}) == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_queries": 1}, r"num_queries must be an integer of at least 2, got 1"),
        ({"epsilon": -1e-8}, r"epsilon must be"),
        ({"radius": 0.0}, r"radius must be"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.grzo(0.1, key, **arguments)
