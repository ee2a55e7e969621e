"""Answers in free text: prompts in tokens, what is generated, and how it is judged."""

from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from transformers import AutoTokenizer

import experiments
from experiments import tasks
from zojax import models

FOLDER = Path(experiments.__file__).parent / "assets" / "opt-reviews"
KIND = tasks.Generation("{text}\nAnswer: {option}", max_new_tokens=4)
TASK = tasks.Task(KIND, metric=tasks.f1)
ROWS = [
    {"text": "Who came?", "answers": ["my aunt", "the aunt"]},
    {"text": "The soup was fine. The film was dull. What was fine?", "answers": ["soup"]},
    {"text": "On what day?", "answers": ["Monday"]},
]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER)


def encode(tokenizer, *, max_length=40):
    splits = {"test": [TASK.example(row) for row in ROWS]}
    return tasks.encode_splits(tokenizer, splits, max_length=max_length, task=TASK)["test"]


def read(tokenizer, ids, mask):
    return tokenizer.decode(ids[mask])


def test_training_sees_the_first_answer_and_a_line_break(tokenizer):
    batch = encode(tokenizer).batch([0])
    ids, mask = batch["input_ids"][0], batch["attention_mask"][0]
    assert read(tokenizer, ids[0], mask[0]) == "</s>Who came?\nAnswer: my aunt\n"
    number = batch["option_mask"][0, 0].sum()
    assert tokenizer.decode(ids[0, -number:]) == " my aunt\n"


def test_prompts_end_before_the_answer_and_leave_room_for_it(tokenizer):
    split = encode(tokenizer)
    prompts = split.prompts.batch([0, 1])
    assert prompts["input_ids"].shape == (2, 32)
    first = read(tokenizer, prompts["input_ids"][0], prompts["attention_mask"][0])
    assert first == "</s>Who came?\nAnswer:"
    answers = prompts["answer_ids"]
    assert answers.shape[:2] == (2, 2)
    assert tokenizer.decode(answers[0, 1][answers[0, 1] >= 0]) == " the aunt"
    assert (answers[1, 1] == -1).all()
    short = encode(tokenizer, max_length=16)
    assert short.prompts.lengths().max() == 12
    cut = short.prompts.sequences[1]
    assert cut[0] == tokenizer.bos_token_id
    assert tokenizer.decode(cut).endswith("fine?\nAnswer:")


def test_evaluation_judges_what_is_generated(tokenizer):
    """Whatever order and batches the prompts come in, every answer meets its own question."""
    split = encode(tokenizer)
    written = {"Who": " my uncle\nWho", "The": " The Soup!", "On": "\n Monday"}

    def generate(params, batch):
        tokens = np.full((len(batch["input_ids"]), 12), tokenizer.pad_token_id)
        for row, (ids, mask) in enumerate(
            zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ):
            text = tokenizer.decode(ids[mask], skip_special_tokens=True)
            ids = tokenizer(written[text.split()[0]], add_special_tokens=False)["input_ids"]
            tokens[row, : len(ids)] = ids
        return tokens

    def scores(params, batch):
        return -np.ones(batch["labels"].shape)[:, None]

    settings = {"batch_size": 2, "generate": generate, "tokenizer": tokenizer}
    evaluation = tasks.evaluate(scores, None, split, TASK, **settings)
    np.testing.assert_allclose(evaluation.score, (0.5 + 1 + 0) / 3)
    assert evaluation.loss == 1  # each token has log-likelihood -1
    with pytest.raises(ValueError, match="generate and tokenizer are needed"):
        tasks.evaluate(scores, None, split, TASK, batch_size=2)


def test_the_shipped_model_writes_answers(tokenizer):
    """The same tokens are judged on the device, as a loss, and as text."""
    model = models.from_pretrained(FOLDER)
    split = encode(tokenizer)
    classes = tasks.token_classes(tokenizer)
    stop = tuple(tasks.end_tokens(tokenizer).tolist())

    @nnx.jit
    def generate(model, batch):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        return models.generate(model, ids, mask, max_new_tokens=KIND.max_new_tokens, stop=stop)

    batch = split.prompts.batch(range(3))
    tokens = generate(model, batch)
    assert tokens.shape == (3, 4)
    loss = jax.jit(tasks.f1_loss)(tokens, batch["answer_ids"], classes)
    assert 0 <= loss <= 1
    texts = tokenizer.batch_decode(np.asarray(tokens), skip_special_tokens=True)
    evaluation = tasks.evaluate(
        nnx.jit(tasks.option_scores),
        model,
        split,
        TASK,
        batch_size=3,
        generate=generate,
        tokenizer=tokenizer,
    )
    assert evaluation.score == tasks.f1(list(map(KIND.answer, texts)), split.prompts.answers)
    assert np.isfinite(evaluation.loss)


def test_the_end_of_an_answer_is_a_line_break_or_a_special_token(tokenizer):
    ends = set(tasks.end_tokens(tokenizer).tolist())
    assert {tokenizer.eos_token_id, tokenizer.pad_token_id} < ends
    assert set(tokenizer("\n", add_special_tokens=False)["input_ids"]) <= ends


def test_what_leaves_no_room_or_end_is_refused(tokenizer):
    with pytest.raises(ValueError, match="max_new_tokens leaves 1 of the model's tokens"):
        encode(tokenizer, max_length=5)
    with pytest.raises(ValueError, match="stop must hold a character and max_new_tokens be at"):
        tasks.Generation("{text} {option}", stop="")
