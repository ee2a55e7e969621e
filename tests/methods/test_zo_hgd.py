"""ZO-HGD is the loop of its equations; its ends are random and coordinate-wise estimates."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from eight_steps import START, STEPS, assert_ends_agree, eight_steps, in_numpy, logistic

import zojax
from tests.reference.zo_hgd import zo_hgd as reference
from zojax.noise import keys

X = {"b": jnp.array([1.0, -2.0]), "w": jnp.array([[0.5, 3.0], [-1.0, 0.25]])}
SLOPE = {"b": np.array([2.0, 0.0]), "w": np.array([[-1.0, 0.5], [0.0, 4.0]])}


def linear(x):
    return sum(jnp.sum(SLOPE[name].astype(np.float32) * x[name]) for name in SLOPE)


def test_eight_steps_equal_the_loop(key, x64):
    """Fed the same z, and the numbers by which coordinates are drawn. Shares are float32."""
    arguments = {"alpha": 0.3, "uniform_share": 0.2, "radius": 1e-2}
    tx = zojax.zo_hgd(
        0.1, key, num_queries=3, num_coordinates=2, coordinate_radius=0.05, **arguments
    )
    params, _, z = eight_steps(tx, key, 3, zojax.sphere())
    numbers = [
        jax.random.uniform(keys.estimator_key(key, jnp.int32(step)), (2,)) for step in range(STEPS)
    ]
    expected, chosen = reference(
        in_numpy, START, z, np.array(numbers), learning_rate=0.1, nu=0.05, **arguments
    )
    assert len(set(chosen)) > 3
    assert_ends_agree(params, expected)


def test_with_all_weight_on_random_directions_it_is_zo_sgd(key):
    x = jax.tree.map(jnp.float32, START)
    updates = [
        jax.jit(lambda x, tx=tx: tx.update(None, tx.init(x), x, value_fn=logistic)[0])(x)
        for tx in (
            zojax.zo_hgd(0.1, key, radius=0.1, num_queries=3, alpha=1.0),
            zojax.zo_sgd(0.1, key, radius=0.1, num_queries=3),
        )
    ]
    chex.assert_trees_all_close(*updates, rtol=1e-5)


def test_coordinates_alone_are_unbiased_given_the_random_estimate(key):
    """On a linear loss: every entry that occurs is ∂_j f / (n q_j), so Σ_j q_j of them is ∂f.

    With κ = 1, q = 1/d and n = 1 it is d ∂_j f, exactly; and over many steps all j occur.
    """
    tx = zojax.zo_hgd(
        1.0, key, radius=0.5, num_coordinates=1, coordinate_radius=0.5, alpha=0.0, uniform_share=1.0
    )

    def step(state, _):
        updates, state = tx.update(None, state, X, value_fn=linear)
        return state, updates

    _, updates = jax.jit(lambda: jax.lax.scan(step, tx.init(X), length=64))()
    for name, slope in SLOPE.items():
        moved = np.asarray(updates[name])
        np.testing.assert_allclose(
            moved, np.where(np.abs(moved) > 1e-4, -6 * slope, 0.0), atol=1e-4
        )
        assert (np.abs(moved).max(0) > 1e-4).tolist() == (slope != 0).tolist()


def test_large_entries_of_the_estimate_are_looked_at_more(key):
    """With many queries g_r is near ∂f: j is drawn in proportion to |∂_j f|, κ aside."""
    count = 4000
    sampler = zojax.hybrid(zojax.sphere(), count, 0.5, 2000, uniform_share=0.0)
    state = sampler.init(X)
    losses = losses_of_linear()
    state = jax.jit(lambda state: sampler.guide(state, key, jnp.int32(0), X, losses))(state)
    drawn = np.bincount(np.asarray(state.entries), minlength=6) / count
    size = np.abs(np.concatenate([SLOPE["b"], SLOPE["w"].ravel()]))
    np.testing.assert_allclose(drawn, size / size.sum(), atol=0.05)
    estimate = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.random_estimate)])
    q = np.abs(estimate) / np.abs(estimate).sum()
    np.testing.assert_allclose(state.weights, 1 / q[np.asarray(state.entries)], rtol=1e-5)


def losses_of_linear():
    return zojax.Losses(
        lambda: linear(X), lambda directions, radii: zojax.evaluate(linear, X, directions, radii)
    )


def test_a_loss_that_is_not_finite_withholds_the_step(key):
    """Of the random directions, or of a coordinate alone."""
    tx = zojax.zo_hgd(0.1, key, radius=10.0, coordinate_radius=1e-3, weight_decay=0.1)
    step = jax.jit(
        lambda state, limit: tx.update(
            None,
            state,
            X,
            value_fn=lambda x: jnp.where(
                jnp.abs(linear(x) - linear(X)) > limit, jnp.nan, linear(x)
            ),
        )
    )
    for limit in (1.0, -1.0):
        updates, after = step(tx.init(X), limit)
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(updates))
        assert optax.tree.get(after, "num_nonfinite") == 1
    updates, _ = step(tx.init(X), 1e9)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(updates))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.5}, "alpha must be a number from 0 to 1, got 1.5"),
        ({"num_coordinates": 0}, "num_coordinates must be an integer of at least 1, got 0"),
        ({"coordinate_radius": 0.0}, "coordinate_radius must be a finite number above 0, got 0.0"),
        ({"accumulate": 2}, "accumulate = 2 does not go with a sampler that asks for losses"),
        ({"sampler": zojax.anisotropic(1.0, rate=0.0)}, "hybrid needs a sampler without memory"),
    ],
)
def test_what_does_not_go_is_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.zo_hgd(0.1, key, **arguments)
