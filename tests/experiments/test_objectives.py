"""What the main job minimizes, and the data that it takes."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import _evaluation, tasks
from experiments._inputs import _load_tokenizer, model_source
from experiments._objectives import make_objective

VOCABULARY = 840  # the tokenizer has 832 entries


@pytest.fixture(scope="module")
def tokenizer():
    return _load_tokenizer(model_source("opt-reviews"))


def encoded(name, tokenizer):
    task, examples = tasks.load_task(f"{name}@sample")
    return task, tasks.encode_splits(tokenizer, examples, max_length=500, task=task)["train"]


@pytest.mark.parametrize(
    ("task", "objective", "message"),
    [
        ("copa", "f1", "'f1' does not go with .* kind choice; use 'loss' or 'accuracy'"),
        ("squad", "accuracy", "'accuracy' does not go with .* generation; use 'loss' or 'f1'"),
    ],
)
def test_an_objective_that_a_task_does_not_have_is_refused(tokenizer, task, objective, message):
    task, train = encoded(task, tokenizer)
    with pytest.raises(ValueError, match=message):
        make_objective(objective, task, train, tokenizer)


def test_accuracy_sees_all_options_where_the_loss_sees_the_right_one(tokenizer):
    task, train = encoded("copa", tokenizer)
    shapes = [
        make_objective(name, task, train, tokenizer).data.batch([0, 1])["input_ids"].shape[:2]
        for name in ("loss", "accuracy")
    ]
    assert shapes == [(2, 1), (2, 2)]


def test_f1_is_that_of_what_the_model_writes(tokenizer, monkeypatch):
    """Of the first answers it is 1, of nothing 0."""
    task, train = encoded("squad", tokenizer)
    value_fn, data = make_objective("f1", task, train, tokenizer)
    batch = data.batch([0, 1, 2])
    seen = {}

    def write(model, input_ids, attention_mask, **settings):
        seen.update(settings)
        return model.tokens

    monkeypatch.setattr(_evaluation.models, "generate", write)
    config = types.SimpleNamespace(vocab_size=VOCABULARY)
    end = tokenizer.eos_token_id
    right = np.where(batch["answer_ids"][:, 0] < 0, end, batch["answer_ids"][:, 0])
    for tokens, expected in ((right, 0.0), (np.full((3, 4), end), 1.0)):
        model = types.SimpleNamespace(config=config, tokens=jnp.asarray(tokens))
        assert value_fn(model, batch) == pytest.approx(expected)
    # Tokens beyond those of the tokenizer say nothing, and so take nothing away.
    padded = np.insert(right, 0, VOCABULARY - 1, axis=1)
    model = types.SimpleNamespace(config=config, tokens=jnp.asarray(padded))
    assert value_fn(model, batch) == pytest.approx(0)
    assert seen["max_new_tokens"] == task.kind.max_new_tokens
    assert end in seen["stop"]
    assert tokenizer.encode("\n", add_special_tokens=False)[0] in seen["stop"]
