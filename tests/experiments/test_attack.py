"""The black-box attack, in a small form."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.attack import __main__ as attack
from experiments.attack import attacks, objective, victim
from experiments.attack.methods import METHODS, Method, transformation

SETTINGS = types.SimpleNamespace(num_queries=3, budget=60, epsilon=0.3, radius=0.1)
FORWARD = Method("forward", "sign", "gaussian")


def log_probabilities(pixels):
    """A classifier that needs no training: digit j is a row of weights, drawn once."""
    weights = jax.random.normal(jax.random.key(5), (64, 10))
    return jax.nn.log_softmax(pixels.reshape(len(pixels), -1) @ weights)


@pytest.fixture(scope="module")
def jobs():
    images = jax.random.uniform(jax.random.key(0), (4, 8, 8))
    labels = jnp.argmax(log_probabilities(images), axis=-1)
    return attacks.Jobs(images, labels, jnp.full(4, 0.05), jnp.arange(4))


def test_the_loss_is_below_zero_where_the_classifier_says_the_target():
    said = jax.nn.log_softmax(jnp.array([2.0, 5.0, 1.0, *[0.0] * 7]))
    # Of log-probabilities the normalizer cancels: differences of the logits are left.
    assert objective.margin(said, jnp.int32(0)) == pytest.approx(3.0, abs=1e-6)
    assert objective.margin(said, jnp.int32(1)) == pytest.approx(-3.0, abs=1e-6)
    assert int(objective.target_of(jnp.int32(9))) == 0


def test_what_the_classifier_is_asked_about_is_an_image_near_the_original():
    image, delta = jnp.array([[0.0, 0.5, 0.9]]), jnp.array([[-5.0, 5.0, 0.2]])
    asked = objective.adversarial(delta, image, 0.3)
    np.testing.assert_allclose(asked, [[0.0, 0.8, 1.0]], atol=1e-6)


def _one_by_one(method, jobs, place):
    """The same attack without scan and vmap, with every loss that was asked for."""
    key = jax.random.key(jobs.seeds[place])
    numbers = {"radius": 0.1, "num_queries": 3, "epsilon": 0.3}
    tx = transformation(method, jobs.rates[place], key, **numbers)
    loss = objective.make_loss(log_probabilities, jobs.images[place], jobs.labels[place], 0.3)
    update = jax.jit(lambda delta, state: tx.update(None, state, delta, value_fn=loss))
    delta = jnp.zeros((8, 8))
    state = tx.init(delta)
    for number in range(attacks.steps_within(method, 3, 60)):
        updates, state = update(delta, state)
        if state[0].last_losses.min() < 0:
            return True, int(state[0].num_evaluations), delta, number
        delta = delta + updates
    return False, 60, delta, number


def test_attacks_side_by_side_are_those_made_one_after_another(jobs):
    found = attacks.make_attacks(FORWARD, log_probabilities, SETTINGS)(jobs)
    assert found.succeeded.any()
    place = int(jnp.argmin(found.queries))
    succeeded, queries, delta, number = _one_by_one(FORWARD, jobs, place)
    assert bool(found.succeeded[place]) == succeeded
    assert int(found.queries[place]) == queries
    assert int(found.steps[place]) == number
    np.testing.assert_allclose(found.deltas[place], delta, atol=1e-6)


@pytest.mark.parametrize("estimator", ["forward", "central", "averaged baseline"])
def test_the_image_of_a_success_is_drawn_again_from_the_key(jobs, estimator):
    method = Method(estimator, "R-AdaZO", "sphere")
    asked = log_probabilities, SETTINGS, jobs
    found = attacks.make_attacks(method, *asked[:2])(jobs)
    places = np.flatnonzero(np.asarray(found.succeeded))
    assert len(places)
    image, loss = attacks.adversarial_image(method, *asked, found, int(places[0]))
    said = jnp.argmax(log_probabilities(image[None])[0])
    assert loss < 0
    assert said == objective.target_of(jobs.labels[places[0]])
    assert jnp.abs(image - jobs.images[places[0]]).max() <= 0.3 + 1e-6
    assert image.min() >= 0
    assert image.max() <= 1
    # The queries are those of whole steps.
    step = attacks.queries_of_a_step(method, 3)
    assert int(found.queries[places[0]]) == step * (int(found.steps[places[0]]) + 1)


def test_all_thirty_are_there():
    assert len(set(METHODS)) == 3 * 5 * 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("attack")


@pytest.fixture(scope="module")
def trained(folder):
    return victim.make_victim(folder, 2)


def test_a_classifier_is_kept_and_read_again(folder, trained):
    first, again = trained, victim.make_victim(folder, 2)
    pixels = first.attacked.pixels[:3] if len(first.attacked.labels) else jnp.ones((3, 8, 8))
    np.testing.assert_array_equal(first.log_probabilities(pixels), again.log_probabilities(pixels))
    assert first.accuracy == again.accuracy
    logits = victim.CNN(rngs=nnx.Rngs(0))(jnp.zeros((2, 8, 8)))
    assert logits.shape == (2, 10)


@pytest.mark.usefixtures("trained")
def test_the_command_tunes_runs_and_draws(folder, results, capsys):
    settings = attack.Settings(
        **{"num_images": 2, "num_tuning": 2, "seeds": (0, 1), "rates": (0.01, 0.1)},
        **{"budget": 40, "epsilon": 0.9, "pictured": 2, "training_steps": 2},
        **{"estimators": ("forward",), "rules": ("sign",), "laws": ("gaussian",)},
        out=str(folder),
    )
    (row,) = attack.attack(settings)
    assert row["learning rate"] in settings.rates
    assert row["at the end of the grid"]
    assert 0 <= row["succeeded"] <= 1
    assert row["mean queries"] <= 40
    assert (results / "attack.jsonl").exists()
    pictured = (results / "attack.png").exists()
    assert pictured == (row["succeeded"] > 0)
    assert ("in pictures" in capsys.readouterr().out) == pictured


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rules": ("adam",)}, "rules must be of descent, .*; got adam"),
        ({"budget": 3}, "budget must be at least 8, .*; got 3"),
        ({"radius": 0.0}, "radius must be above 0; got 0"),
        ({"seeds": ()}, "seeds must name at least one"),
        ({"num_queries": 1}, "num_queries must be at least 2; got 1"),
    ],
)
def test_settings_that_make_no_sense_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        attack.Settings(**wrong)
