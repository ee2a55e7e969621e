"""Every task's sample goes all the way: rows, examples, arrays, loss, evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, pre_tokenizers, processors
from tokenizers import models as token_models
from transformers import PreTrainedTokenizerFast

from experiments import tasks
from experiments.tasks import _encoding, _masked_encoding, _prompts

NAMES = [name for name, task in tasks.TASKS.items() if isinstance(task.source, tasks.Hub)]
LENGTH, VOCABULARY, WIDTH = 160, 512, 4


class Model:
    """Every token and every pixel is read on its own."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.table = jnp.array(rng.normal(size=(VOCABULARY, WIDTH)), jnp.float32)
        self.classes = jnp.array(rng.normal(size=(3, 100)), jnp.float32)

    def features(self, input_ids, attention_mask):
        return self.table[input_ids] * attention_mask[..., None]

    def attend(self, features):
        return features @ self.table.T

    def __call__(self, pixel_values):
        return pixel_values.mean((2, 3)) @ self.classes


def words_of(examples):
    """All that stands in the examples, for a tokenizer of whole words and line breaks."""
    for example in examples:
        if isinstance(example, tasks.Example):
            yield from (*example.candidates, *example.answers)
        else:
            yield from (example.before, example.after, *example.words)


def make_tokenizer(examples, *, masked):
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    # A word keeps the space before it, as in most models.
    split = pre_tokenizers.Split(Regex(r" ?[^\s.,?:]+|\n|[.,?:]"), "isolated")
    pieces = {piece for text in words_of(examples) for piece, _ in split.pre_tokenize_str(text)}
    pieces |= {f" {text}" for e in examples for text in getattr(e, "words", ())}
    vocabulary = {word: i for i, word in enumerate([*special, *sorted(pieces)])}
    words = Tokenizer(token_models.WordLevel(vocabulary, "<unk>"))
    words.pre_tokenizer = split
    template = "<s> $A </s>" if masked else "<s> $A"
    words.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


@pytest.fixture
def one_length(monkeypatch):
    """All batches of a task have one shape, so that two programs do for it."""
    for module in (_encoding, _masked_encoding, _prompts):
        monkeypatch.setattr(module, "padded_length", lambda length, max_length: max_length)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_encoded_scored_and_judged(one_length, name):
    task, examples = tasks.load_task(f"{name}@sample")
    if isinstance(task.kind, tasks.Images):
        processor = tasks.ImageFormat(8)
    else:
        everything = [example for split in examples.values() for example in split]
        processor = make_tokenizer(everything, masked=isinstance(task.kind, tasks.Masked))
        assert len(processor) <= VOCABULARY
    model = Model()
    loss = jax.jit(lambda batch: task.loss(model, batch))
    scores = jax.jit(lambda params, batch: task.scores(model, batch))
    splits = tasks.encode_splits(processor, examples, max_length=LENGTH, task=task)
    every_row = np.resize(np.arange(len(splits["train"].labels)), 6)
    assert np.isfinite(loss(splits["train"].batch(every_row)))

    test = splits["test"]
    assert len(test.labels) == 6
    assert test.num_truncated == 0
    evaluation = tasks.evaluate(
        scores,
        None,
        test,
        task,
        batch_size=4,
        generate=lambda params, batch: batch["answer_ids"][:, 0].clip(1),
        tokenizer=processor,
    )
    np.testing.assert_allclose(evaluation.loss, loss(test.batch(range(6))), rtol=1e-4)
    # Here the first answer is what is "generated".
    assert evaluation.score == 1 if task.metric is tasks.f1 else 0 <= evaluation.score <= 1
