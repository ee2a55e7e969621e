"""Metrics, and the same numbers as losses on the device, against examples by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.tasks import accuracy_loss, exact_match, f1, f1_loss, token_classes

# A generated text, its answers, and F1 and exact match by hand.
ANSWERS = [
    ("The Eiffel Tower!", ["eiffel tower"], 1.0, 1.0),
    ("a red fox", ["fox"], 2 / 3, 0.0),  # P = 1/2, R = 1
    ("red red fox", ["red dog red"], 2 / 3, 0.0),  # P = R = 2/3
    ("fox", ["the big dog", "big red fox"], 1 / 2, 0.0),  # the better answer: P = 1, R = 1/3
    ("", ["fox"], 0.0, 0.0),
    ("tower eiffel", ["Eiffel Tower"], 1.0, 0.0),
]


@pytest.mark.parametrize(("text", "answers", "overlap", "exact"), ANSWERS)
def test_f1_and_exact_match_of_one_answer(text, answers, overlap, exact):
    np.testing.assert_allclose(f1([text], [answers]), overlap)
    assert exact_match([text], [answers]) == exact


def test_metrics_are_means():
    texts, answers = ["fox", "dog"], [["fox"], ["cat"]]
    assert f1(texts, answers) == exact_match(texts, answers) == 0.5


WORDS = ["<pad>", "</s>", " fox", "Fox", " the", " red", ",", "\n", " dog", " big", ".\n"]
FOX, FOX_UPPER, THE, RED, COMMA, NEWLINE, DOG, BIG = range(2, 10)
CLASSES = [-1, -1, 1, 1, 0, 2, 0, -1, 3, 4, -1]


class Tokenizer:
    """Tokens are whole words with the space before them."""

    all_special_ids = (0, 1)

    def get_vocab(self):
        return {word: index for index, word in enumerate(WORDS)}

    def batch_decode(self, rows):
        return ["".join(WORDS[index] for index in row) for row in rows]


def test_tokens_that_look_the_same_are_one_class():
    np.testing.assert_array_equal(token_classes(Tokenizer()), CLASSES)


# What is generated, the answers, and F1 by hand.
TOKENS = [
    ([FOX_UPPER, COMMA, NEWLINE, DOG], [[FOX]], 1.0),  # the rest of the text does not count
    ([THE, RED, FOX, 1], [[FOX]], 2 / 3),
    ([RED, RED, FOX, NEWLINE], [[RED, DOG, RED]], 2 / 3),
    ([FOX, NEWLINE, RED, RED], [[BIG, DOG], [BIG, RED, FOX]], 1 / 2),
    ([NEWLINE, FOX, FOX, FOX], [[FOX]], 0.0),
    ([FOX, FOX, FOX, FOX], [[FOX]], 2 / 5),
]


def test_f1_of_tokens_is_that_of_words_where_words_are_tokens():
    generated = jnp.array([tokens for tokens, _, _ in TOKENS])
    answers = np.full((len(TOKENS), 2, 3), -1)
    for row, (_, of_example, _) in enumerate(TOKENS):
        for column, ids in enumerate(of_example):
            answers[row, column, : len(ids)] = ids
    classes = np.array(CLASSES)

    @jax.jit
    def each(generated, answers):
        of_one = jax.vmap(lambda g, a: f1_loss(g[None], a[None], classes))(generated, answers)
        return of_one, f1_loss(generated, answers, classes)

    losses, loss = each(generated, jnp.array(answers))
    expected = np.array([1 - overlap for _, _, overlap in TOKENS])
    np.testing.assert_allclose(losses, expected, atol=1e-6)
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-6)
    texts = Tokenizer().batch_decode([tokens for tokens, _, _ in TOKENS])
    words = [text.split("\n")[0].removesuffix("</s>") for text in texts]
    right = [Tokenizer().batch_decode(of_example) for _, of_example, _ in TOKENS]
    np.testing.assert_allclose(1 - loss, f1(words, right), rtol=1e-6)


def test_the_accuracy_loss_counts_misses():
    scores = jnp.array([[0.0, 1.0], [3.0, 2.0], [0.0, -jnp.inf], [1.0, 2.0]])
    batch = {"labels": jnp.array([1, 1, 0, 0])}
    loss = accuracy_loss(None, batch, scores=lambda *_: scores)
    assert loss.dtype == jnp.float32
    assert loss == 0.5
    with pytest.raises(ValueError, match="needs at least two options a batch"):
        accuracy_loss(None, batch, scores=lambda *_: scores[:, :1])
