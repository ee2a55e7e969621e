"""EGGROLL is the algorithm of the paper, and its scores are what their equations say."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.methods import taped
from tests.reference.eggroll import eggroll as reference

RANK, QUERIES = 2, 4


@pytest.mark.parametrize(
    ("fitness", "antithetic", "num_groups"),
    [("zscore", True, 2), ("rank", False, 1), ("sign", True, 1)],
)
def test_eight_steps_equal_the_papers_loop(fitness, antithetic, num_groups, key):
    """Fed the same A, B and z."""
    options = {"learning_rate": 0.05, "radius": 1e-2, "fitness": fitness}
    options |= {"antithetic": antithetic, "num_groups": num_groups}
    sampler = zojax.factored(RANK)
    tx = zojax.eggroll(key=key, num_queries=QUERIES, sampler=sampler, **options)

    def look(directions, kept, step):
        del kept, step
        factors = [(recipe.left, recipe.right) for recipe in directions[1:]]
        noise = dict(zip(taped.MATRICES, factors, strict=True))
        return noise | {"b": taped.dense(directions)["b"]}

    got = taped.run(tx, sampler, key, look, num_queries=QUERIES)
    steps = [
        [jax.tree.map(lambda part, k=k: np.float64(part[k]), noise) for k in range(QUERIES)]
        for noise in got.tape
    ]
    expected = reference(lambda x: taped.network(x, np), taped.START, steps, **options)
    taped.assert_close(got.x, expected)
    losses = QUERIES * (2 if antithetic else 1)
    assert optax.tree.get(got.state, "num_evaluations") == 8 * losses


def coefficients(losses, antithetic, **options):
    """Of a step that measured these losses, (K, 2) or (K,)."""
    losses = jnp.asarray(losses, jnp.float32)
    estimator = zojax.fitness_shaped(0.5, len(losses), antithetic=antithetic, **options)
    probe = zojax.Probe(base=None, along=lambda radii: losses)
    estimate, _ = estimator.estimate((), probe)
    return np.asarray(estimator.shape((), estimate)).tolist()


def test_scores_of_four_losses_by_hand():
    """f = 1, 3, 5, 3: mean 3, variance 2; ranks 0, 1.5, 3, 1.5 of 3."""
    four = [1.0, 3.0, 5.0, 3.0]
    root = 2**-0.5
    assert coefficients(four, False, fitness="centered") == [-1.0, 0.0, 1.0, 0.0]
    np.testing.assert_allclose(
        coefficients(four, False, fitness="zscore"), [-root / 2, 0, root / 2, 0], rtol=1e-6
    )
    assert coefficients(four, False, fitness="rank") == [-0.125, 0.0, 0.125, 0.0]
    # Two pairs, (1, 3) and (5, 3).
    pairs = [four[:2], four[2:]]
    assert coefficients(pairs, True, fitness="sign") == [-0.5, 0.5]
    assert coefficients(pairs, True, fitness="rank") == [-0.125, 0.125]
    # Each has the mean of its own group taken off: -1, 1 and 1, -1.
    assert coefficients(four, False, fitness="centered", num_groups=2) == [-0.5, 0.5, 0.5, -0.5]


@pytest.mark.parametrize("fitness", ["centered", "zscore", "rank", "sign"])
def test_equal_losses_have_no_weight_and_one_that_is_no_number_is_none(fitness):
    assert coefficients(np.full((3, 2), 7.0), True, fitness=fitness) == [0.0, 0.0, 0.0]
    assert np.isnan(coefficients([[1.0, 2.0], [np.inf, 0.0]], True, fitness=fitness)).all()


def test_two_points_without_scores_are_mezo_along_the_same_factors(key):
    """K = 1 and "centered"; to the rounding of (f+ - mean) - (f- - mean)."""
    x = {"b": jnp.linspace(-1.0, 1.0, 3), "w": jnp.ones((4, 3))}
    options = {"radius": 0.25, "sampler": zojax.factored(2)}
    methods = (
        zojax.mezo(0.05, key, **options),
        zojax.eggroll(0.05, key, num_queries=1, fitness="centered", **options),
    )

    @jax.jit
    def first_updates():
        def loss(x):
            return sum(jnp.sum(jnp.sin(leaf) + leaf**2) for leaf in jax.tree.leaves(x))

        return [tx.update(None, tx.init(x), x, value_fn=loss)[0] for tx in methods]

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *first_updates())


def test_moments_of_a_rule_stay_in_a_step_without_a_finite_loss(key):
    x = {"w": jnp.ones((4, 3))}
    tx = zojax.eggroll(0.1, key, num_queries=2, rule=optax.scale_by_adam(), weight_decay=0.1)

    @jax.jit
    def step(x, state, spoil):
        loss = lambda x: jnp.sum(x["w"] ** 2) + spoil  # noqa: E731
        updates, state = tx.update(None, state, x, value_fn=loss)
        return optax.apply_updates(x, updates), state

    x, state = step(x, tx.init(x), 0.0)
    same, after = step(x, state, jnp.inf)
    moments = [optax.tree.get(s, "nu")["w"] for s in (state, after)]
    np.testing.assert_array_equal(same["w"], x["w"])
    np.testing.assert_array_equal(*moments)
    assert moments[0].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fitness": "ranks"}, r"fitness must be one of centered, zscore, rank, sign, got 'ranks'"),
        ({"fitness": "sign", "antithetic": False}, r"fitness='sign' compares .* antithetic=True"),
        ({"num_queries": 4, "num_groups": 3}, r"num_groups must divide num_queries=4, got 3"),
        ({"num_queries": 1, "antithetic": False}, r"num_queries must be an integer of at least 2"),
        ({"rule": optax.scale_by_adam}, r"rule must be of the class GradientTransformation"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, message, key):
    with pytest.raises((TypeError, ValueError), match=message):
        zojax.eggroll(0.1, key, **arguments)
