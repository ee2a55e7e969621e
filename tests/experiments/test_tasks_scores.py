"""Scores, loss and evaluation against independent numpy."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments import tasks
from zojax import models

TEXTS = ["the film", "not very good and the film bad", "very fine"]
LABELS = np.array([0, 1, 1])
OPTIONS = ("bad", "not very good")
TASK = tasks.Task(tasks.Classification("{text} It was {option}", OPTIONS))

option_scores = nnx.jit(tasks.option_scores)


@pytest.fixture(scope="module")
def model(model_folder):
    return models.from_pretrained(model_folder)


@pytest.fixture(scope="module")
def encoded(tokenizer):
    records = [{"text": t, "label": int(i)} for t, i in zip(TEXTS, LABELS, strict=True)]
    examples = [TASK.example(record) for record in records]
    return tasks.encode_splits(tokenizer, {"train": examples}, max_length=20)["train"]


@pytest.fixture(scope="module")
def expected_scores(model, tokenizer):
    """One sequence at a time, unpadded, all logits, float64 from there on."""
    forward = nnx.jit(lambda model, ids: model(ids))
    scores = np.zeros((len(TEXTS), 2))
    for row, text in enumerate(TEXTS):
        for column, option in enumerate(OPTIONS):
            ids = np.array([tokenizer.encode(f"{text} It was {option}")])
            logits = np.asarray(forward(model, ids), np.float64)[0, :-1]
            log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            of_next = log_p[np.arange(len(log_p)), ids[0, 1:]]
            scores[row, column] = of_next[-len(option.split()) :].mean()
    return scores


def expected_losses(scores):
    log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    return -log_p[np.arange(len(scores)), LABELS[: len(scores)]]


def test_scores_are_mean_log_likelihoods_of_option_tokens(model, encoded, expected_scores):
    scores = option_scores(model, encoded.batch(range(3)))
    assert scores.dtype == jnp.float32
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5)


def test_the_loss_is_the_cross_entropy_of_the_scores(model, encoded, expected_scores):
    loss = tasks.option_loss(model, encoded.batch(range(3)))
    assert loss.shape == ()
    np.testing.assert_allclose(loss, expected_losses(expected_scores).mean(), rtol=1e-5)


def test_more_padding_changes_nothing(model, encoded):
    """The first example alone pads to 8, beside the second to 16."""
    alone = encoded.batch([0])
    beside = encoded.batch([0, 1])
    assert (alone["input_ids"].shape[-1], beside["input_ids"].shape[-1]) == (8, 16)
    np.testing.assert_allclose(
        option_scores(model, alone)[0], option_scores(model, beside)[0], rtol=1e-5
    )


@pytest.mark.parametrize("batch_size", [2, 4])
def test_evaluation_predicts_the_best_option(model, encoded, expected_scores, batch_size):
    """The last batch is filled up with examples that must not count."""
    evaluation = tasks.evaluate(option_scores, model, encoded, TASK, batch_size=batch_size)
    assert evaluation.score == (expected_scores.argmax(-1) == LABELS).mean()
    np.testing.assert_allclose(evaluation.loss, expected_losses(expected_scores).mean(), rtol=1e-5)
