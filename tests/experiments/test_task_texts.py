"""Texts and pairs for a classifier: what is asked, and what it looks like in tokens."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers import models as token_models
from transformers import BertTokenizer, PreTrainedTokenizerFast

from experiments import tasks
from zojax.models import BERT, BERTConfig

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the soup not so good and film was bad fine it"
PAIRS = tasks.TextClassification("{first}{sep}{second}", ("no", "yes"))
ROWS = [
    {"first": "the soup", "second": "was so good", "label": "yes"},
    {"first": "the film was not so bad and not so good", "second": "it was fine", "label": 0},
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(WORDS.split()))
    return BertTokenizer.from_pretrained(folder)


def encode(tokenizer, kind, rows, max_length=24):
    examples = [kind.example(row) for row in rows]
    return kind.encode(tokenizer, {"train": examples}, max_length=max_length)["train"]


def words(tokenizer, ids):
    return tokenizer.convert_ids_to_tokens(ids)


def test_a_pair_is_joined_as_the_tokenizer_joins_pairs(tokenizer):
    split = encode(tokenizer, PAIRS, ROWS)
    assert " ".join(words(tokenizer, split.sequences[0])) == (
        "[CLS] the soup [SEP] was so good [SEP]"
    )
    batch = split.batch([0, 1])
    assert batch["input_ids"].shape == (2, 16)
    np.testing.assert_array_equal(batch["attention_mask"].sum(1), [8, 16])
    assert (np.diff(batch["attention_mask"].astype(int)) <= 0).all()  # tokens, then padding
    np.testing.assert_array_equal(batch["token_type_ids"][0], [0] * 4 + [1] * 4 + [0] * 8)
    np.testing.assert_array_equal(batch["labels"], [1, 0])
    # A part of a batch is as long as the whole.
    assert split.batch([0], [0, 1])["input_ids"].shape == (1, 16)
    assert split.batch([0])["input_ids"].shape == (1, 8)


def test_single_texts_bring_no_types(tokenizer):
    kind = tasks.TextClassification("{first}", ("no", "yes"))
    split = encode(tokenizer, kind, ROWS)
    assert set(split.batch([0])) == {"input_ids", "attention_mask", "labels"}
    assert " ".join(words(tokenizer, split.sequences[0])) == "[CLS] the soup [SEP]"


def test_what_is_too_long_is_cut_at_the_end_of_the_longer_text_and_counted(tokenizer):
    split = encode(tokenizer, PAIRS, ROWS, max_length=9)
    assert split.num_truncated == 1
    assert " ".join(words(tokenizer, split.sequences[1])) == (
        "[CLS] the film was [SEP] it was fine [SEP]"
    )


def test_a_text_without_tokens_is_named():
    words = Tokenizer(token_models.WordLevel({"a": 0, "?": 1}, "?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain = PreTrainedTokenizerFast(tokenizer_object=words)
    kind = tasks.TextClassification("{first}")
    with pytest.raises(ValueError, match="the text '' has no tokens; leave such rows out"):
        kind.encode(plain, {"train": [tasks.TextExample(("",), 0)]}, max_length=8)


@pytest.mark.parametrize(
    ("name", "template", "options"),
    [
        ("reviews", "{text}", ("terrible", "great")),
        ("rte", "{premise}{sep}{hypothesis}", ("Yes", "No")),
        ("boolq", "{passage}{sep}{question}", ("Yes", "No")),
        ("sst2_masked", "{sentence}", ("terrible", "great")),
        ("mnli_masked", "{premise}{sep}{hypothesis}", ("Yes", "Maybe", "No")),
    ],
)
def test_a_task_in_words_becomes_one_of_texts(name, template, options):
    where = name if name == "reviews" else f"{name}@sample"
    task, examples = tasks.load_task(where, head="classifier", num_test=2)
    assert (task.kind.template, task.kind.options) == (template, options)
    assert {len(e.texts) for split in examples.values() for e in split} == {
        1 + ("{sep}" in template)
    }


def test_sentences_of_a_pair_stay_whole():
    """The template with a mask takes the first one's last character."""
    _, masked = tasks.load_task("mnli_masked@sample")
    _, whole = tasks.load_task("mnli_masked@sample", head="classifier")
    for theirs, ours in zip(masked["train"], whole["train"], strict=True):
        assert theirs.before.startswith(ours.texts[0][:-1])
        assert ours.texts[0][-1] in ".!?"
        assert ours.label == theirs.label


def test_a_prompt_of_three_fields_is_one_text():
    task, examples = tasks.load_task("wic@sample", head="classifier")
    assert "{option}" not in task.kind.template
    assert examples["test"][0].texts[0].startswith('Does the word "')


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([0, 2, 1, 0], ("LABEL_0", "LABEL_1", "LABEL_2")),
        (["sad", "glad", "sad"], ("glad", "sad")),
    ],
)
def test_classes_are_named_after_the_labels_of_ones_own_data(tmp_path, labels, names):
    lines = [json.dumps({"text": f"text {i}", "label": label}) for i, label in enumerate(labels)]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    task, examples = tasks.load_task(str(tmp_path / "own.jsonl"), head="classifier")
    assert task.kind.options == names
    found = sorted(example.label for split in examples.values() for example in split)
    assert found == sorted(
        label if isinstance(label, int) else names.index(label) for label in labels
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2, 5], "labels are 1, 2, 5, but numbers have to be 0, 1, 2 and so on; write words"),
        ([0, "a", 1], "must be a number in all rows, or a word in all rows"),
        ([0.5, 1, 0], "must be a number in all rows, or a word in all rows"),
        ([0, 0, 0], "all rows have the label 0; there is nothing to learn"),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path, labels, message):
    lines = [json.dumps({"text": "text", "label": label}) for label in labels]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"own\.jsonl: .*{message}"):
        tasks.load_task(str(tmp_path / "own.jsonl"), head="classifier")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{text} It was {option}", "and no {option}; got"),
        ("{text} {mask}", "and no {mask}; got"),
        ("{text", "template '{text' cannot be read: expected '}'"),
        ("text", "template must hold fields of the data"),
        ("{a}{sep}{b}{sep}{c}", "template must hold fields of the data"),
    ],
)
def test_a_template_of_another_head_is_refused(template, message):
    with pytest.raises(ValueError, match=message):
        tasks.TextClassification(template)


def test_heads_that_a_task_does_not_take_are_refused():
    with pytest.raises(ValueError, match="'classifier' does not go with a task of the kind choice"):
        tasks.load_task("copa@sample", head="classifier")
    with pytest.raises(ValueError, match="takes language_model or classifier; choose one"):
        tasks.load_task("reviews", head="masked_language_model")


def test_scores_are_the_logits_of_each_pair_alone(tokenizer):
    config = BERTConfig(
        vocab_size=16,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        initializer_range=0.5,
    )
    model = nnx.jit(lambda: BERT(config, head="classifier", rngs=nnx.Rngs(0)))()
    split = encode(tokenizer, PAIRS, ROWS)
    scores = nnx.jit(tasks.text_scores)(model, split.batch([0, 1]))
    forward = nnx.jit(lambda model, ids, types: model(ids, None, types))
    expected = [
        np.asarray(forward(model, jnp.asarray(ids)[None], jnp.asarray(types)[None]))[0]
        for ids, types in zip(split.sequences, split.token_types, strict=True)
    ]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    loss = tasks.text_loss(model, split.batch([0, 1]))
    log_p = expected - np.log(np.exp(expected).sum(-1, keepdims=True))
    np.testing.assert_allclose(loss, -log_p[[0, 1], [1, 0]].mean(), rtol=1e-4)
