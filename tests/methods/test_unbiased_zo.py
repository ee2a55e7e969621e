"""Telescoping estimators are the loop of their paper, and unbiased as they say."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from eight_steps import START, STEPS, assert_ends_agree, eight_steps, in_numpy, logistic

import zojax
from tests.reference.unbiased_zo import unbiased_zo as reference
from zojax.estimators._telescoping import level_shares
from zojax.noise import keys

RADIUS, RATIO, LEVELS = 0.4, 0.6, 3


def draws(key, num_queries):
    """Levels from 1 on and coins, as the estimator draws them."""
    levels, coins = [], []
    for step in range(STEPS):
        of_level, of_coin = jax.random.split(keys.estimator_key(key, jnp.int32(step)))
        logits = jnp.log(level_shares(RATIO, LEVELS))
        levels.append(1 + jax.random.categorical(of_level, logits, shape=(num_queries,)))
        coins.append(jax.random.bernoulli(of_coin, shape=(num_queries, 1))[:, 0])
    return np.array(levels), np.array(coins)


@pytest.mark.parametrize("points", [3, 4])
def test_eight_steps_equal_the_papers_loop(points, key, x64):
    """Fed the same z, levels and coins; all levels and sides of the coin occur."""
    arguments = {"radius": RADIUS, "ratio": RATIO}
    tx = zojax.unbiased_zo(0.05, key, num_queries=2, points=points, levels=LEVELS, **arguments)
    params, _, z = eight_steps(tx, key, 2, zojax.sphere())
    levels, coins = draws(key, 2)
    assert set(levels.ravel()) == {1, 2, 3}
    assert set(coins.ravel()) == {False, True}
    expected = reference(
        in_numpy,
        START,
        z,
        levels,
        None if points == 4 else coins,
        learning_rate=0.05,
        count=LEVELS,
        **arguments,
    )
    assert_ends_agree(params, expected)


def along(radii):
    """A loss along one direction, of slope 2 at 0 and with more than a second derivative."""
    return 1 + 2 * radii + 3 * radii**2 - 4 * radii**3 + radii**5


@pytest.mark.parametrize("points", [3, 4])
def test_the_mean_over_levels_is_the_difference_at_the_smallest_radius(points, key, x64):
    """Exactly: every value that occurs, weighted by its probability."""
    count, seen = 400, []

    def answered(radii):
        seen.append(np.broadcast_to(radii, (count, points - 1)))
        return along(radii)

    estimator = zojax.telescoping(RADIUS, count, points, ratio=RATIO, levels=LEVELS)
    probe = zojax.Probe(lambda: along(0.0), answered, 0, lambda: key)
    estimate, _ = estimator.estimate((), probe)
    outcomes = {
        tuple(np.round(row, 12)): count * c
        for row, c in zip(seen[0], np.asarray(estimate.coefficients), strict=True)
    }
    radii = RADIUS * RATIO ** np.arange(LEVELS + 1)
    shares = RATIO ** np.arange(LEVELS)
    shares /= shares.sum()
    if points == 4:
        mean = sum(
            p * outcomes[tuple(np.round([RADIUS, radii[n], radii[n + 1]], 12))]
            for n, p in enumerate(shares)
        )
        assert len(outcomes) == LEVELS
    else:
        # The pair of level 1 is also what the first side of the coin evaluates: two outcomes.
        is_first = jax.random.bernoulli(jax.random.split(key)[1], shape=(count, 1))[:, 0]
        values = count * np.asarray(estimate.coefficients)
        first = values[np.asarray(is_first)]
        np.testing.assert_allclose(first, first[0])
        rest = [
            values[~np.asarray(is_first) & np.isclose(seen[0][:, 0], radii[n])][0]
            for n in range(LEVELS)
        ]
        mean = first[0] / 2 + shares @ rest / 2
    smallest = radii[-1]
    np.testing.assert_allclose(mean, (along(smallest) - along(0.0)) / smallest, rtol=1e-12)
    assert abs(mean - 2.0) < 0.5 * abs((along(RADIUS) - along(0.0)) / RADIUS - 2.0)


def test_with_one_level_four_points_are_a_forward_difference(key, x64):
    """At r q: D(r) + [D(r q) - D(r)] / 1."""
    x = jax.tree.map(jnp.asarray, START)
    updates = []
    for estimator in (
        zojax.telescoping(0.2, 2, ratio=0.5, levels=1),
        zojax.forward(0.1, 2),
    ):
        tx = zojax.estimate_gradient(key, zojax.sphere(), estimator)
        updates.append(tx.update(None, tx.init(x), x, value_fn=logistic)[0])
    chex.assert_trees_all_close(*updates, rtol=1e-10)


def test_the_correction_is_bounded_by_the_radius_alone(key, x64):
    """On f = κ r²/2 it is -κ r (1 - q^N)/2 at every level: that of (1) at the optimal p."""
    curvature, count = 3.0, 50
    estimator = zojax.telescoping(RADIUS, count, ratio=RATIO, levels=LEVELS)
    probe = zojax.Probe(
        lambda: jnp.zeros(()), lambda radii: curvature * radii**2 / 2, 0, lambda: key
    )
    slopes = count * estimator.estimate((), probe)[0].coefficients
    correction = slopes - curvature * RADIUS / 2
    expected = -curvature * RADIUS * (1 - RATIO**LEVELS) / 2
    np.testing.assert_allclose(correction, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 1.0}, "ratio must be a number of at least 0 and below 1, got 1.0"),
        ({"ratio": 0.0}, "ratio must be a finite number above 0, got 0.0"),
        ({"points": 2}, "points must be one of 3, 4, got 2"),
        ({"levels": 0}, "levels must be an integer of at least 1, got 0"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.unbiased_zo(0.1, key, **arguments)
