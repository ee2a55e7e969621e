"""Problems without gradients, and runs on them, in a small form."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.control import __main__ as control
from experiments.control import cart_pole, neighbors
from experiments.control.runs import METHODS, Runs, make_runs


def test_a_pole_without_a_push_keeps_its_energy():
    """Of the cart and the pole, with the moment of inertia 4/3 m l² about its end."""

    def energy(state):
        _, speed, angle, turning = state
        moving = 0.5 * 1.1 * speed**2 + 0.1 * 0.5 * speed * turning * np.cos(angle)
        return moving + 0.5 * 0.1 * (4 / 3) * 0.25 * turning**2 + 0.1 * 9.8 * 0.5 * np.cos(angle)

    state = jnp.array([0.0, 0.3, 2.0, 0.5])
    before = energy(np.asarray(state))
    states = jax.lax.scan(
        lambda state, _: (cart_pole.move(state, 0.0),) * 2, state, None, length=100
    )[1]
    after = energy(np.asarray(states).T)
    # A step of 0.02 s is of the first order; it does not drift.
    np.testing.assert_allclose(after, before, atol=0.05)


def test_the_pole_rests_where_it_hangs_and_falls_from_where_it_stands():
    hanging = jnp.array([0.0, 0.0, jnp.pi, 0.0])
    np.testing.assert_allclose(cart_pole.move(hanging, 0.0), hanging, atol=1e-6)
    leaning = cart_pole.move(jnp.array([0.0, 0.0, 0.1, 0.0]), 0.0)
    assert leaning[2] > 0.1
    # Pushed to the right, the cart goes right and an upright pole falls to the left.
    pushed = cart_pole.move(jnp.zeros(4), 10.0)
    assert pushed[0] > 0 > pushed[2]


def test_the_loss_is_minus_the_mean_reward_of_episodes():
    problem = cart_pole.cart_pole(width=2, steps=3, episodes=2)
    params = jax.tree.map(jnp.zeros_like, problem.start(jax.random.key(0)))
    key = jax.random.key(1)
    rewards = []
    for state in jnp.array([0.0, 0.0, jnp.pi, 0.0]) + 0.1 * jax.random.normal(key, (2, 4)):
        for _ in range(3):
            state = cart_pole.move(state, 0.0)  # a network of zeros does nothing
            rewards.append((1 + np.cos(state[2])) / 2 - state[0] ** 2 / 100)
    assert problem.loss(params, key) == pytest.approx(-np.mean(rewards), abs=1e-6)


def test_the_distance_is_that_of_scaled_columns():
    log_scales = jnp.log(jnp.array([1.0, 2.0]))
    left, right = jnp.array([[0.0, 0.0]]), jnp.array([[1.0, 1.0], [2.0, 0.5]])
    found = neighbors.distances(log_scales, left, right)
    np.testing.assert_allclose(found, [[1 + 4, 4 + 1]], rtol=1e-4)


def test_mistakes_are_counted_and_scales_matter():
    problem = neighbors.neighbors()
    start = problem.start(jax.random.key(0))
    loss = problem.loss(start, jax.random.key(0))
    assert float(106 * loss) == pytest.approx(round(106 * float(loss)), abs=1e-3)
    assert jnp.all(jax.grad(problem.loss)(start, None) == 0)
    # The column of proline, in the hundreds, outweighs all others; of its own size less.
    from sklearn.datasets import load_wine

    spread = load_wine(return_X_y=True)[0].std(axis=0)
    scaled = jnp.asarray(-np.log(spread), jnp.float32)
    assert problem.loss(scaled, None) < loss - 0.1
    assert problem.score(scaled) > problem.score(start) + 0.1


def test_runs_side_by_side_are_the_runs_alone():
    problem = cart_pole.cart_pole(width=2, steps=3, episodes=1)
    runs = make_runs(METHODS["mezo"], problem, budget=4, looks=2)([0.1, 0.2], [3, 4])
    assert runs.scores.shape == (2, 2)
    assert runs.curve.shape == (2, 2, 2)
    key, of_start, of_losses = jax.random.split(jax.random.key(4), 3)
    params = problem.start(of_start)
    tx = METHODS["mezo"].make(0.2, key, problem.radius)
    update = jax.jit(
        lambda params, state, key: tx.update(None, state, params, value_fn=problem.loss, key=key)
    )
    state = tx.init(params)
    for key in jax.random.split(of_losses, (2, 1)).ravel():
        updates, state = update(params, state, key)
        params = optax.apply_updates(params, updates)
    assert int(optax.tree.get(state, "num_evaluations")) == 4
    assert runs.scores[1, 1] == pytest.approx(float(problem.score(params)), abs=1e-5)


def test_the_rate_is_that_of_the_best_mean_with_the_seeds_of_the_search():
    settings = control.Settings(rates=(1.0, 2.0, 3.0), search_seeds=(9,), seeds=(0, 1))
    scores = np.array([[np.nan, 9.0, 9.0], [0.5, 1.0, 2.0], [0.4, 9.0, 9.0]])
    place, found = control.tuned(Runs(scores, np.zeros(3), scores[..., None]), settings)
    assert place == 1
    assert found.scores.tolist() == [1.0, 2.0]


def test_the_command_writes_a_row_for_every_problem_and_method(results):
    small = {"problems": ("neighbors",), "methods": ("r_adazo",), "budget": 20, "looks": 2}
    settings = control.Settings(**small, rates=(0.1, 0.3), seeds=(0, 1), search_seeds=(5,))
    (row,) = control.control(settings)
    assert row["loss evaluations"] == 20
    assert [spent for spent, _ in row["curve"]] == [0, 10, 20]
    assert row["curve"][-1][1] == pytest.approx(row["after"])
    assert (results / "control.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"methods": ("adam",)}, "methods must be of mezo, .*; got adam"),
        ({"budget": 150}, "budget must be a multiple of 20, .*mezo.*; got 150"),
        ({"seeds": (1000,)}, "search_seeds must be others than seeds; both have"),
        ({"rates": ()}, "rates must name at least one"),
    ],
)
def test_settings_that_make_no_sense_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        control.Settings(**wrong)
