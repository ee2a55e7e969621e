"""The shipped default is what its README says it is."""

import collections
import json
import pathlib
import re

import pytest
import tokenizers
import transformers
from flax import nnx

from experiments.pretrain import corpus, probe, reviews, words
from experiments.pretrain import tokenizer as tokenizer_script
from zojax.models import from_pretrained

ASSETS = pathlib.Path(__file__).parents[2] / "experiments" / "assets"
CHECKPOINT = ASSETS / "opt-reviews"
FILE_LIMIT = 2 * 2**20


def _read(split):
    lines = (ASSETS / "reviews" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _sentences(texts):
    return {sentence for text in texts for sentence in re.split(r"(?<=\.) ", text)}


@pytest.fixture(scope="module")
def splits():
    return {split: _read(split) for split in reviews.SIZES}


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizers.Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))


@pytest.fixture(scope="module")
def model():
    return from_pretrained(CHECKPOINT)


def test_every_shipped_file_is_small():
    sizes = {path: path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()}
    assert max(sizes.values()) < FILE_LIMIT


def test_splits_have_their_sizes_and_as_many_of_either_label(splits):
    for split, size in reviews.SIZES.items():
        labels = collections.Counter(example["label"] for example in splits[split])
        assert labels == {0: size // 2, 1: size // 2}


def test_no_text_is_in_two_splits(splits):
    texts = [example["text"] for examples in splits.values() for example in examples]
    assert len(set(texts)) == len(texts)


def test_no_sentence_of_the_test_split_is_in_the_others(splits):
    sentences = {
        split: _sentences(example["text"] for example in examples)
        for split, examples in splits.items()
    }
    assert not sentences["test"] & (sentences["train"] | sentences["validation"])


@pytest.mark.parametrize("documents", [corpus.notes, corpus.documents])
def test_no_sentence_of_the_test_split_is_in_the_start_of_the_corpus(splits, documents):
    seen = _sentences(document for document, _ in zip(documents(), range(20_000), strict=False))
    assert not seen & _sentences(example["text"] for example in splits["test"])


def test_the_words_of_the_task_are_in_no_review(splits):
    texts = " ".join(example["text"] for examples in splits.values() for example in examples)
    assert not re.search(r"\b(great|terrible)\b", texts, re.IGNORECASE)


def test_the_script_remakes_the_reviews_byte_by_byte(tmp_path):
    reviews.write(tmp_path)
    for split in reviews.SIZES:
        name = f"{split}.jsonl"
        assert (tmp_path / name).read_bytes() == (ASSETS / "reviews" / name).read_bytes()


def test_the_script_remakes_the_tokenizer(tokenizer):
    assert tokenizer_script.train().to_str() == tokenizer.to_str()


def test_tokenizer_loads_through_transformers_and_round_trips(splits):
    tokenizer = transformers.AutoTokenizer.from_pretrained(CHECKPOINT)
    texts = ["Déjà vu: 3 < 4!\n  naïve ☕", *(example["text"] for example in splits["test"][:50])]
    for text in texts:
        ids = tokenizer(text).input_ids
        assert ids[0] == tokenizer.bos_token_id == 2
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.pad_token_id == 1


def test_words_of_the_task_are_single_tokens_that_leave_the_prompt_alone(tokenizer):
    prompt = tokenizer.encode("It was").ids
    for word in ("great", "terrible"):
        ids = tokenizer.encode(f"It was {word}").ids
        assert len(ids) == len(prompt) + 1
        assert ids[:-1] == prompt


def test_checkpoint_and_tokenizer_have_one_vocabulary(model, tokenizer):
    _, params = nnx.split(model, nnx.Param)
    table = params["embed_tokens"]["embedding"]
    assert table.shape[0] == model.config.vocab_size == tokenizer.get_vocab_size()


def test_model_knows_the_polarity_but_not_the_words_of_the_task(splits, model, tokenizer):
    """The premise of the fine-tuning task, on the split that no word pair was trained on."""
    examples = splits["test"]
    log_probabilities = probe.next_log_probabilities(
        model, tokenizer, [f"{example['text']} It was" for example in examples]
    )
    labels = [example["label"] for example in examples]
    by_all_words = probe.accuracy(log_probabilities, tokenizer, labels, words.ADJECTIVES)
    zero_shot = probe.accuracy(log_probabilities, tokenizer, labels, (("terrible",), ("great",)))
    assert by_all_words >= 0.9
    assert zero_shot <= 0.7
