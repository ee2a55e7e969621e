"""Tasks in tokens: option lengths, padding, cutting."""

import copy

import numpy as np
import pytest
from tokenizers import normalizers

from experiments.tasks import Classification, encode_splits
from experiments.tasks._padding import padded_length

TASK = Classification("{text} It was {option}", ("bad", "not very good"))


def encode(tokenizer, texts, *, task=TASK, max_length=20):
    examples = [task.example({"text": text, "label": 1}) for text in texts]
    return encode_splits(tokenizer, {"train": examples}, max_length=max_length)["train"]


def words(tokenizer, ids, mask):
    return " ".join(tokenizer.convert_ids_to_tokens(ids[mask]))


def test_option_tokens_are_those_that_the_prompt_lacks(tokenizer):
    encoded = encode(tokenizer, ["the food", "fine"])
    np.testing.assert_array_equal(encoded.option_lengths, [[1, 3], [1, 3]])
    assert encoded.max_option_length == 3
    batch = encoded.batch([0])
    np.testing.assert_array_equal(
        batch["option_mask"], [[[False, False, True], [True, True, True]]]
    )
    np.testing.assert_array_equal(batch["labels"], [1])


def test_sequences_are_padded_on_the_left_to_a_multiple_of_eight(tokenizer):
    batch = encode(tokenizer, ["the food", "fine"]).batch([1, 0])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 2, 8)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    assert words(tokenizer, ids[0, 0], mask[0, 0]) == "</s> fine It was bad"
    assert words(tokenizer, ids[1, 1], mask[1, 1]) == "</s> the food It was not very good"
    assert mask[0, 0].tolist() == [False] * 3 + [True] * 5


def test_long_sequences_are_cut_on_the_left_and_keep_bos(tokenizer):
    encoded = encode(tokenizer, ["the food and the film", "fine"], max_length=7)
    batch = encoded.batch([0])
    ids, mask = batch["input_ids"], batch["attention_mask"]
    assert ids.shape == (1, 2, 7)
    assert words(tokenizer, ids[0, 0], mask[0, 0]) == "</s> and the film It was bad"
    assert words(tokenizer, ids[0, 1], mask[0, 1]) == "</s> film It was not very good"
    assert encoded.num_truncated == 2
    assert encoded.lengths().tolist() == [7, 7]


def test_few_lengths_occur():
    lengths = [padded_length(length, 2000) for length in range(1, 2001)]
    assert sorted(set(lengths)) == [
        *(8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2000)
    ]
    assert all(length <= padded for length, padded in enumerate(lengths, start=1))


def test_an_option_without_tokens_is_refused(tokenizer):
    """A space without width, which the tokenizer of BERT drops."""
    bert = copy.deepcopy(tokenizer)
    bert.backend_tokenizer.normalizer = normalizers.BertNormalizer()
    task = Classification("{text} It was {option}", ("\u200b", "good"))
    with pytest.raises(ValueError, match=r"'fine It was \\u200b' adds no token to its prompt"):
        encode(bert, ["fine"], task=task)


def test_an_option_that_leaves_no_room_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"max_length 4 leaves no room .* 3 option tokens"):
        encode(tokenizer, ["fine"], max_length=4)
