"""MeZO-GV is the loop of its paper, and MeZO where it has two candidates."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from eight_steps import START, STEPS, assert_ends_agree, eight_steps, in_numpy, logistic

import zojax
from tests.reference.mezo_gv import mezo_gv as reference

X = {"b": jnp.zeros(3), "w": jnp.ones((4, 5))}


@pytest.mark.parametrize(
    ("candidates", "options"),
    [
        (5, {"rule": "contrast", "elite": 2}),
        (4, {"rule": "greedy"}),
        (2, {"rule": "contrast", "remember": True}),
        (3, {"rule": "greedy", "remember": True}),
    ],
    ids=["contrast", "greedy", "contrast that remembers", "greedy that remembers"],
)
def test_eight_steps_equal_the_papers_loop(candidates, options, key, x64):
    """Fed the same candidates."""
    tx = zojax.mezo_gv(0.2, key, radius=1e-2, candidates=candidates, **options)
    params, _, drawn = eight_steps(tx, key, candidates)
    options = {"elite": candidates // 2, **options}
    expected = reference(in_numpy, START, drawn, learning_rate=0.2, radius=1e-2, **options)
    assert_ends_agree(params, expected)


def test_of_two_candidates_the_contrast_is_mezo(key):
    """Along z_1 - z_2, whichever of them was better: the slope and the direction turn together."""
    tx = zojax.mezo_gv(0.1, key, radius=0.25, candidates=2)
    updates, state = tx.update(None, tx.init(X), X, value_fn=bowl)
    drawn, _ = zojax.gaussian().draw((), key, jnp.int32(0), 2, X)
    first, second = (
        zojax.materialize(jax.tree.map(lambda array, k=k: array[k], drawn), X) for k in range(2)
    )
    z = jax.tree.map(jnp.subtract, first, second)
    above, below = (
        bowl(jax.tree.map(lambda x, z, by=by: x + by * z, X, z)) for by in (0.25, -0.25)
    )
    expected = jax.tree.map(lambda z: -0.1 * (above - below) / 0.5 * z, z)
    chex.assert_trees_all_close(updates, expected, rtol=1e-5, atol=1e-5)
    assert optax.tree.get(state, "num_evaluations") == 4


def bowl(x):
    return sum(jnp.sum((leaf - 0.5) ** 2) for leaf in jax.tree.leaves(x))


def test_a_greedy_direction_is_the_candidate_of_the_lowest_loss(key):
    """Of factors, too: the update lies along it."""
    sampler = zojax.factored(1)
    tx = zojax.mezo_gv(0.1, key, radius=0.25, candidates=3, rule="greedy", sampler=sampler)
    updates, _ = tx.update(None, tx.init(X), X, value_fn=bowl)
    drawn, _ = sampler.draw(sampler.init(X), key, jnp.int32(0), 3, X)
    z = [zojax.materialize(jax.tree.map(lambda a, k=k: a[k], drawn), X) for k in range(3)]
    losses = [bowl(jax.tree.map(lambda x, z: x + 0.25 * z, X, one)) for one in z]
    best = z[int(np.argmin(losses))]
    ratios = np.concatenate(
        [np.ravel(u / v) for u, v in zip(*map(jax.tree.leaves, (updates, best)), strict=True)]
    )
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)


def test_the_candidate_that_is_kept_stays_where_it_is_best(key):
    """Along a ray on which the loss always falls, a good direction is never given up for a worse.

    On a linear loss candidates keep their ranks, so the slope of the best never rises.
    """
    tx = zojax.mezo_gv(0.0, key, radius=1.0, candidates=2, rule="greedy", remember=True)
    state, slopes = tx.init(X), []
    update = jax.jit(
        lambda state: tx.update(None, state, X, value_fn=lambda x: jnp.sum(x["w"]) + x["b"][0])[1]
    )
    for _ in range(STEPS):
        state = update(state)
        slopes.append(float(optax.tree.get(state, "coefficients")[0]))
    assert all(later <= earlier + 1e-4 for earlier, later in itertools.pairwise(slopes))
    assert slopes[-1] < slopes[0]


@pytest.mark.parametrize("rule", ["contrast", "greedy"])
def test_a_candidate_without_a_finite_loss_withholds_the_step(rule, key):
    """Also where the pair would have finite ones; what is remembered stays."""
    tx = zojax.mezo_gv(0.1, key, radius=0.25, candidates=2, rule=rule, remember=True)

    @jax.jit
    def step(state, bad):
        def value_fn(x):
            loss = logistic(jax.tree.map(jnp.float32, START)) + bowl(x)
            return jnp.where(bad & (loss > 0), jnp.nan, loss)

        return tx.update(None, state, X, value_fn=value_fn)

    _, before = step(tx.init(X), False)
    updates, after = step(before, True)
    assert all(np.array_equal(leaf, 0 * leaf) for leaf in jax.tree.leaves(updates))
    sampler = [optax.tree.get(state, "sampler") for state in (before, after)]
    np.testing.assert_array_equal(sampler[0].best, sampler[1].best)
    assert optax.tree.get(after, "num_nonfinite") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": 1}, "candidates must be an integer of at least 2, got 1"),
        ({"elite": 4}, "elite must be below candidates = 4, got 4"),
        ({"rule": "best"}, "rule must be one of contrast, greedy, got 'best'"),
        ({"accumulate": 2}, "accumulate = 2 does not go with a sampler that asks for losses"),
        ({"sampler": zojax.anisotropic(1.0, rate=0.0)}, "needs a sampler without memory"),
    ],
)
def test_what_does_not_go_is_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.mezo_gv(0.1, key, **arguments)


def test_factors_have_no_contrast(key):
    tx = zojax.mezo_gv(0.1, key, sampler=zojax.factored(1))
    with pytest.raises(ValueError, match=r'"contrast" does not go with .* LowRank'):
        tx.update(None, tx.init({"w": jnp.ones((4, 5))}), {"w": jnp.ones((4, 5))}, value_fn=bowl)
