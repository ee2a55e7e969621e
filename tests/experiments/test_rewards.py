"""Rewards of generated texts as an objective."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import zojax
from experiments import tasks
from experiments._objectives import make_objective
from experiments._rewards import load_reward
from experiments._settings import Settings
from experiments.post_train import base
from zojax.models import Llama, LlamaConfig

SEEN = []


def count_digits(prompts, completions, answers):
    """A reward: how many digits a text has."""
    SEEN.append((prompts, completions, answers))
    return [sum(letter.isdigit() for letter in text) for text in completions]


def too_few(prompts, completions, answers):
    return [1.0]


@pytest.fixture(scope="module")
def tokenizer():
    return base.make_tokenizer()


@pytest.fixture(scope="module")
def model():
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    config = LlamaConfig(**base.CONFIG | small | {"initializer_range": 1.0})
    return Llama(config, rngs=nnx.Rngs(0))


def objective(name, tokenizer):
    task, examples = tasks.load_task("countdown", num_train=4)
    encoded = tasks.encode_splits(tokenizer, examples, max_length=60, task=task)
    return make_objective(f"reward:{__name__}:{name}", task, encoded["train"], tokenizer)


def test_the_function_sees_texts_and_its_mean_is_what_is_minimized(tokenizer, model):
    value_fn, data = objective("count_digits", tokenizer)
    SEEN.clear()
    value = value_fn(model, data.batch([0, 1, 2]))
    ((prompts, completions, answers),) = SEEN
    assert [prompt.endswith(":") and "make" in prompt for prompt in prompts] == [True] * 3
    assert answers == [list(of_row) for of_row in data.answers[:3]]
    digits = [sum(letter.isdigit() for letter in text) for text in completions]
    assert value == -np.mean(digits, dtype=np.float32)


def test_a_population_is_scored_at_once_as_one_model_after_another(tokenizer, model):
    """With the same rewards, and the perturbed models really write other texts."""
    value_fn, data = objective("count_digits", tokenizer)
    batch = data.batch([0, 1])
    graphdef, params = nnx.split(model, nnx.Param)
    sampler = zojax.factored(1)
    key = jax.random.key(0)
    directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(0), 3, params)

    def loss(params):
        return value_fn(nnx.merge(graphdef, params), batch)

    calls = {}
    for chunk in (1, 3):
        SEEN.clear()
        losses = zojax.evaluate(loss, params, directions, 0.5, chunk_size=chunk)
        calls[chunk] = losses, [text for _, texts, _ in SEEN for text in texts], len(SEEN)
    np.testing.assert_array_equal(calls[1][0], calls[3][0])
    assert calls[1][1] == calls[3][1]
    assert (calls[1][2], calls[3][2]) == (3, 1)
    assert len(set(calls[1][0].tolist())) > 1


def test_a_reward_that_is_missing_for_a_text_is_an_error(tokenizer, model):
    value_fn, data = objective("too_few", tokenizer)
    with pytest.raises(Exception, match=r"shape \(1,\) for 2 texts"):
        jax.block_until_ready(value_fn(model, data.batch([0, 1])))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reward:nowhere", "must be reward:MODULE:FUNCTION"),
        ("reward:no.such.module:f", "names no function that can be imported"),
        ("reward:experiments.tasks:nothing", "names no function that can be imported"),
        ("reward:experiments.tasks:TASKS", "cannot be called"),
        ("bleu", "'bleu' is unknown; choose from loss, accuracy, f1, reward:MODULE:FUNCTION"),
    ],
)
def test_an_objective_is_looked_up_before_anything_is_read(name, message):
    with pytest.raises(ValueError, match=message):
        Settings(objective=name)


def test_it_takes_one_device():
    with pytest.raises(ValueError, match="which takes one device; got mesh 'data=2': leave it out"):
        Settings(objective="reward:experiments.tasks:countdown_reward", mesh="data=2")


def test_it_does_not_go_with_a_choice(tokenizer):
    task, _ = tasks.load_task("copa@sample")
    with pytest.raises(ValueError, match="does not go with a task of the kind choice"):
        make_objective("reward:experiments.tasks:countdown_reward", task, None, tokenizer)


def test_the_function_is_the_one_that_was_named():
    assert load_reward("reward:experiments.tasks:countdown_reward") is tasks.countdown_reward
