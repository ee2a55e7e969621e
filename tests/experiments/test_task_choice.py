"""Options that differ in number, choice among them, demonstrations: with the shipped model."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from transformers import AutoTokenizer, BertTokenizer

import experiments
from experiments import tasks
from zojax import models

FOLDER = Path(experiments.__file__).parent / "assets" / "opt-reviews"
# The longest choice of the sample of ReCoRD has more, and loses tokens on the left.
MAX_LENGTH = 96

scores_of = nnx.jit(tasks.option_scores)
losses_of = nnx.jit(
    lambda model, batch: (tasks.option_loss(model, batch), tasks.answer_loss(model, batch))
)


@pytest.fixture(scope="module")
def shipped():
    return models.from_pretrained(FOLDER), AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def uneven(shipped):
    """Two, three and two options; the first two of the second example are right."""
    tasks_example = tasks.Classification("{text} It was {option}", ("bad", "good")).example
    lines = [
        {"text": "The soup.", "label": 1},
        {"text": "The film was so slow.", "options": ["fine", "very fine", "dull"], "label": 1},
        {"text": "A game.", "options": ["not good at all", "good"], "label": 0},
    ]
    examples = [tasks_example(line) for line in lines]
    examples[1] = dataclasses.replace(examples[1], gold=(0, 1))
    return tasks.encode_splits(shipped[1], {"train": examples}, max_length=64)["train"]


@pytest.fixture(scope="module")
def by_hand(shipped, uneven):
    """The sums of log-likelihoods, a sequence at a time without padding, and option lengths."""
    model, _ = shipped
    forward = nnx.jit(lambda model, ids: model(ids))
    sums = np.full(uneven.option_lengths.shape, -np.inf)
    for row, candidates in enumerate(uneven.sequences):
        for column, ids in enumerate(candidates):
            logits = np.asarray(forward(model, ids[None]), np.float64)[0, :-1]
            log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            of_next = log_p[np.arange(len(log_p)), ids[1:]]
            sums[row, column] = of_next[-uneven.option_lengths[row, column] :].sum()
    return sums, uneven.option_lengths


def test_missing_options_are_never_chosen(shipped, uneven, by_hand):
    batch = uneven.batch(range(3))
    assert batch["input_ids"].shape[:2] == (3, 3)
    assert batch["option_mask"].any(-1).tolist() == [
        [True, True, False],
        [True] * 3,
        [True, True, False],
    ]
    scores = np.asarray(scores_of(shipped[0], batch))
    sums, lengths = by_hand
    np.testing.assert_allclose(scores, sums / np.maximum(lengths, 1), rtol=1e-4)
    assert np.isneginf(scores[[0, 2], 2]).all()


def test_losses_of_options_and_of_answers(shipped, uneven, by_hand):
    """The first is the cross-entropy over scores, the second that of tokens of right options."""
    sums, lengths = by_hand
    scores = sums / np.maximum(lengths, 1)
    labels = uneven.labels
    log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    option, answer = losses_of(shipped[0], uneven.batch(range(3)))
    np.testing.assert_allclose(option, -log_p[range(3), labels].mean(), rtol=1e-4)
    expected = -sums[range(3), labels].sum() / lengths[range(3), labels].sum()
    np.testing.assert_allclose(answer, expected, rtol=1e-4)
    gold_only = dataclasses.replace(uneven, gold_only=True).batch(range(3))
    assert gold_only["input_ids"].shape[1] == 1
    np.testing.assert_allclose(losses_of(shipped[0], gold_only)[1], expected, rtol=1e-4)


def test_padding_never_changes_a_loss(shipped, uneven):
    """The same batch at its own length, and with eight more tokens of padding."""
    batch = uneven.batch(range(3))
    more = dict(batch)
    for name in ("input_ids", "attention_mask"):
        more[name] = np.pad(batch[name], ((0, 0), (0, 0), (8, 0)))
    more["input_ids"][..., :8] = 7  # what stands there does not matter
    assert more["input_ids"].shape[-1] == batch["input_ids"].shape[-1] + 8
    np.testing.assert_allclose(losses_of(shipped[0], batch), losses_of(shipped[0], more), rtol=1e-5)


def test_evaluation_takes_any_of_the_right_options(shipped, uneven, by_hand):
    sums, lengths = by_hand
    scores = sums / np.maximum(lengths, 1)
    best = scores.argmax(-1)
    hits = [best[0] == 1, best[1] in (0, 1), best[2] == 0]
    split = dataclasses.replace(uneven, gold_only=True)
    task = tasks.Task(tasks.Choice("{text} {option}"))
    evaluation = tasks.evaluate(scores_of, shipped[0], split, task, batch_size=4)
    assert evaluation.score == np.mean(hits)
    right = sums[range(3), uneven.labels].sum() / lengths[range(3), uneven.labels].sum()
    np.testing.assert_allclose(evaluation.loss, -right, rtol=1e-4)


@pytest.mark.parametrize("name", ["record"])
def test_samples_of_choice_go_all_the_way(shipped, name):
    task, examples = tasks.load_task(f"{name}@sample")
    splits = tasks.encode_splits(shipped[1], examples, max_length=MAX_LENGTH, task=task)
    batch = splits["train"].batch([0, 1, 2])
    assert batch["input_ids"].shape[1] == 1
    loss = nnx.jit(task.loss)(shipped[0], batch)
    assert np.isfinite(loss)
    test = splits["test"]
    counts = [len(example.candidates) for example in examples["test"]]
    assert len(test.pieces().sequences) == sum(counts)
    evaluation = tasks.evaluate(scores_of, shipped[0], test, task, batch_size=16)
    assert 0 <= evaluation.score <= 1
    assert np.isfinite(evaluation.loss)


def test_demonstrations_stand_before_prompt_and_options():
    kind = tasks.Classification("{text}\nGood?\n{option}", ("No", "Yes"))
    examples = [kind.example({"text": text, "label": i}) for i, text in enumerate(("A", "B"))]
    (shown,) = tasks.with_demonstrations(examples, examples[:1])
    assert shown.prompt == "A\nGood?\nNo\n\nB\nGood?\nYes\n\nA\nGood?\n"
    assert shown.candidates == (shown.prompt + "No", shown.prompt + "Yes")
    assert tasks.with_demonstrations([], examples) == examples
    masked = tasks.MaskedExample("x", "", ("a", "b"), 0)
    with pytest.raises(TypeError, match="text that an option ends; got MaskedExample"):
        tasks.with_demonstrations([], [masked])


def test_demonstrations_do_not_change_option_lengths(shipped):
    _, examples = tasks.load_task("rte@sample")
    with_two = tasks.with_demonstrations(examples["train"][:2], examples["test"])
    splits = {"test": examples["test"], "shown": with_two}
    encoded = tasks.encode_splits(shipped[1], splits, max_length=1000)
    np.testing.assert_array_equal(encoded["test"].option_lengths, encoded["shown"].option_lengths)
    assert (encoded["shown"].lengths() > encoded["test"].lengths()).all()


def test_a_tokenizer_that_ends_texts_is_refused(tmp_path):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizer.from_pretrained(tmp_path)
    example = tasks.Classification("{text} {option}", ("bad", "good")).example
    examples = [example({"text": "good", "label": 0})]
    with pytest.raises(ValueError, match=r"ends texts with '\[SEP\]'.* --head classifier"):
        tasks.encode_splits(tokenizer, {"train": examples}, max_length=10)
