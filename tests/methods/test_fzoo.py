"""FZOO is the algorithm of the paper, and takes steps that do not depend on the loss's scale."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.methods import taped
from tests.reference.fzoo import fzoo as reference

SLOPE = np.float32([0.5, -2.0, 1.0, 3.0, 0.25])


@pytest.mark.parametrize(("ddof", "reuse"), [(1, False), (0, True)])
def test_eight_steps_equal_the_papers_loop(ddof, reuse, key):
    """Fed the same signs."""
    options = {"learning_rate": 0.05, "radius": 1e-2, "weight_decay": 0.2}
    options |= {"ddof": ddof, "reuse": reuse}
    tx = zojax.fzoo(key=key, num_queries=3, **options)
    sampler = zojax.rademacher()
    look = lambda directions, kept, step: taped.dense(directions)  # noqa: E731
    got = taped.run(tx, sampler, key, look, num_queries=3)
    expected, spreads = reference(
        lambda x: taped.network(x, np), taped.START, map(taped.queries, got.tape), **options
    )
    taped.assert_close(got.x, expected)
    assert spreads.max() > 1.1 * spreads.min() > 0
    assert optax.tree.get(got.state, "num_evaluations") == 8 * 4


@functools.partial(jax.jit, static_argnums=0)
def first_update(loss, scale=1.0, shift=0.0, radius=0.25):
    key, x = jax.random.key(0), jnp.zeros(5)
    tx = zojax.fzoo(1.0, key, radius=radius)
    updates, state = tx.update(None, tx.init(x), x, value_fn=lambda x: scale * loss(x) + shift)
    return updates, state


def linear(x):
    return jnp.dot(SLOPE, x)


def test_neither_the_scale_nor_the_level_nor_the_radius_matters():
    """Of a linear loss, to the rounding of losses."""
    plain, _ = first_update(linear, 1.0, 0.0, 0.25)
    assert np.abs(plain).max() > 0.1
    for changed in ((64.0, 0.0, 0.25), (1.0, 16.0, 0.25), (1.0, 0.0, 2.0)):
        np.testing.assert_allclose(first_update(linear, *changed)[0], plain, rtol=2e-5)


def test_without_the_spread_it_is_the_estimate_of_forward_differences():
    """ĝ = forward's ĝ · r / σ, with the same directions."""
    update, _ = first_update(linear, 1.0, 0.0, 0.25)

    @jax.jit
    def forward():
        key, x = jax.random.key(0), jnp.zeros(5)
        tx = zojax.estimate_gradient(key, zojax.rademacher(), zojax.forward(0.25, 8))
        updates, state = tx.update(None, tx.init(x), x, value_fn=linear)
        return updates, optax.tree.get(state, "coefficients")

    estimate, coefficients = forward()
    spread = np.std(8 * 0.25 * np.asarray(coefficients), ddof=1)
    np.testing.assert_allclose(update, -0.25 * estimate / spread, rtol=1e-5)


def test_a_flat_loss_moves_nothing():
    update, state = first_update(lambda x: jnp.float32(3) + 0 * x.sum())
    np.testing.assert_array_equal(update, 0.0)
    assert optax.tree.get(state, "num_nonfinite") == 0


def test_the_mean_of_the_squared_spread_is_that_of_the_slope(key):
    """E[σ²] = r² ‖g‖² of a linear loss, for N = 4: 4000 keys, within 5 standard errors.

    The variance of σ² is at most 2/(N - 1) (r ‖g‖)⁴, that of normal numbers: signs have thinner
    tails.
    """
    r, norm = 0.5, np.sum(SLOPE**2)

    @jax.jit
    @jax.vmap
    def squares(key):
        x = jnp.zeros(5)
        estimator = zojax.standardized_forward(r, 4)
        tx = zojax.estimate_gradient(key, zojax.rademacher(), estimator)
        _, state = tx.update(None, tx.init(x), x, value_fn=linear)
        return jnp.var(optax.tree.get(state, "last_losses")[:-1], ddof=1)

    found = squares(jax.random.split(key, 4000)).mean()
    np.testing.assert_allclose(found, r**2 * norm, rtol=5 * np.sqrt(2 / 3 / 4000))


def test_a_step_without_a_finite_loss_is_not_remembered(key):
    tx = zojax.fzoo(0.1, key, num_queries=1, reuse=True, weight_decay=0.1)

    @jax.jit
    def step(x, state, spoil):
        updates, state = tx.update(None, state, x, value_fn=lambda x: linear(x) + spoil)
        return optax.apply_updates(x, updates), state

    x = jnp.ones(5)
    x, state = step(x, tx.init(x), 0.0)
    same, after = step(x, state, jnp.nan)
    np.testing.assert_array_equal(same, x)
    kept, found = (optax.tree.get(s, "estimator") for s in (state, after))
    np.testing.assert_array_equal(found, kept)
    assert np.isfinite(kept).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_queries": 1}, r"num_queries must be an integer of at least 2, got 1"),
        ({"ddof": 2}, r"ddof must be one of 0, 1, got 2"),
        ({"reuse": 1}, r"reuse must be True or False, got 1"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.fzoo(0.1, key, **arguments)
