"""Learning rates over a run are optax's, and every method follows them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments._methods import METHODS
from experiments._schedules import scaled
from experiments.finetune import Settings

RATE, STEPS, WARMUP = 0.5, 12, 4
EXPECTED = {
    "constant": optax.constant_schedule(RATE),
    "linear": optax.linear_schedule(RATE, 0.1 * RATE, STEPS),
    "cosine": optax.cosine_decay_schedule(RATE, STEPS, 0.1),
    "exponential": optax.exponential_decay(RATE, STEPS, 0.1, end_value=0.1 * RATE),
}
WARMED = {
    "constant": optax.warmup_constant_schedule(0.0, RATE, WARMUP),
    "cosine": optax.warmup_cosine_decay_schedule(0.0, RATE, WARMUP, STEPS, 0.1 * RATE),
    "exponential": optax.warmup_exponential_decay_schedule(
        0.0, RATE, WARMUP, STEPS - WARMUP, 0.1, end_value=0.1 * RATE
    ),
}
ADAPTER = {"lora_a": jnp.ones((3, 2)), "lora_b": jnp.ones((2, 4))}


def asked(schedule, **more):
    end = {} if schedule == "constant" else {"end_share": 0.1}
    return Settings(schedule=schedule, learning_rate=RATE, steps=STEPS, **end | more)


def values(rate):
    return [float(rate(step)) if callable(rate) else rate for step in range(STEPS + 3)]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_schedule_is_optax_s_at_every_step(name):
    assert values(asked(name).rate) == values(EXPECTED[name])


@pytest.mark.parametrize("name", WARMED)
def test_so_is_one_with_a_warm_up(name):
    assert values(asked(name, warmup_steps=WARMUP).rate) == values(WARMED[name])


def test_a_constant_rate_is_a_number():
    """What optax scales by without a count in its state."""
    assert asked("constant").rate == RATE


def test_the_end_is_written_down_and_can_be_another():
    assert asked("linear").decay_steps == STEPS
    assert asked("constant").decay_steps is None
    late = values(asked("linear", decay_steps=5).rate)[5:]
    assert late == pytest.approx([0.1 * RATE] * 10)


def test_a_rate_that_follows_another_one_is_a_share_of_it():
    assert scaled(0.01, RATE) == 0.01 * RATE
    follows = scaled(0.01, optax.linear_schedule(1.0, 0.0, 4))
    found = [float(follows(step)) for step in range(5)]
    assert found == pytest.approx([0.01, 0.0075, 0.005, 0.0025, 0])


def distance(x):
    return jnp.mean((x["lora_a"] @ x["lora_b"] - 1.0) ** 2)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_begins_at_the_rate_of_step_0(name):
    """Nothing moves at the start of a warm-up, and something in the second step."""
    rank = None if METHODS[name].takes_gradients else 2
    settings = Settings(method=name, sampler_rank=rank, warmup_steps=2)
    tx = METHODS[name].make(settings, jax.random.key(0))

    @jax.jit
    def step(state):
        data = {"value_fn": lambda x, batch: distance(x) + 0 * batch.sum(), "batch": jnp.ones(8)}
        return tx.update(None, state, ADAPTER, **data)

    first, state = step(tx.init(ADAPTER))
    second, _ = step(state)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(first))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(second))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "cosin"}, "schedule 'cosin' is unknown; choose from constant, linear, cosi"),
        ({"end_share": 0.1}, "end_share 0.1 does not go with schedule constant, which has no end"),
        ({"decay_steps": 5}, "decay_steps 5 does not go with schedule constant"),
        ({"schedule": "linear", "end_share": 1.5}, "end_share must lie between 0 and 1; got 1.5"),
        ({"schedule": "exponential"}, "schedule exponential never comes to 0; give end_share"),
        ({"warmup_steps": -1}, r"warmup_steps must lie between 0 and 599, .* got -1"),
        ({"warmup_steps": 600}, "warmup_steps must lie between 0 and 599, one below steps"),
        (
            {"schedule": "linear", "decay_steps": 9, "warmup_steps": 9},
            "warmup_steps must lie between 0 and 8, one below decay_steps; got 9",
        ),
        ({"schedule": "linear", "decay_steps": 0}, "decay_steps must be at least 1; got 0"),
        ({"learning_rate": "fast"}, "learning_rate 'fast' is unknown; choose from auto"),
    ],
)
def test_what_makes_no_schedule_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changes)
