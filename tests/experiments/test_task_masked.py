"""Words to fill in: positions, padding, cutting, and a tiny RoBERTa."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers import models as token_models
from transformers import BertTokenizer, PreTrainedTokenizerFast

from experiments import tasks
from zojax.models import RoBERTa, RoBERTaConfig

KIND = tasks.Masked("{text} It was {mask}.", ("bad", "good"), max_length=24)
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = ["the soup", "not so good and the film was so bad", "fine"]


@pytest.fixture(scope="module")
def roberta_tokenizer():
    """Byte-level, words carry the space before them, and the mask takes the space before it."""
    words = Tokenizer(token_models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(special_tokens=SPECIAL, show_progress=False, vocab_size=600)
    corpus = [" It was bad. It was good. the soup the film not so fine and It was."] * 9
    words.train_from_iterator(corpus, trainer)
    words.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    words.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), False, False)
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


@pytest.fixture(scope="module")
def bert_tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] the soup not so good and film was bad fine it . ,"
    (folder / "vocab.txt").write_text("\n".join(words.split()))
    return BertTokenizer.from_pretrained(folder)


@pytest.fixture(params=["roberta", "bert"])
def tokenizer(request):
    return request.getfixturevalue(f"{request.param}_tokenizer")


def encode(tokenizer, texts, *, kind=KIND, max_length=24):
    examples = [kind.example({"text": text, "label": i % 2}) for i, text in enumerate(texts)]
    return kind.encode(tokenizer, {"train": examples}, max_length=max_length)["train"]


def test_sequences_are_padded_on_the_right_and_know_where_the_mask_is(tokenizer):
    encoded = encode(tokenizer, TEXTS)
    batch = encoded.batch([0, 1])
    ids, mask = batch["input_ids"], batch["attention_mask"]
    assert ids.shape == mask.shape == (2, 16)
    assert (np.diff(mask.astype(int), axis=1) <= 0).all()  # tokens, then padding
    assert mask.sum(1).tolist() == encoded.lengths()[:2].tolist()
    assert mask[0].sum() == 8  # six words, dot and mask among them, and two special tokens
    masked = ids[np.arange(2), batch["mask_positions"]]
    np.testing.assert_array_equal(masked, [tokenizer.mask_token_id] * 2)
    read = tokenizer.decode(ids[0][mask[0]], skip_special_tokens=True)
    assert "".join(read.lower().split()) == "thesoupitwas."
    words = tokenizer.convert_ids_to_tokens(batch["word_ids"][1])
    assert [word.lstrip("Ġ") for word in words] == ["bad", "good"]
    assert batch["word_ids"].shape == (2, 2)
    np.testing.assert_array_equal(batch["labels"], [0, 1])


def test_words_carry_the_space_before_them(roberta_tokenizer):
    words = encode(roberta_tokenizer, ["fine"]).batch([0])["word_ids"][0]
    assert roberta_tokenizer.convert_ids_to_tokens(words) == ["Ġbad", "Ġgood"]


def test_long_texts_lose_words_on_the_left_before_a_mask_at_the_end(bert_tokenizer):
    encoded = encode(bert_tokenizer, TEXTS[:2], max_length=9)
    assert encoded.num_truncated == 1
    kept = bert_tokenizer.convert_ids_to_tokens(encoded.sequences[1])
    assert kept == ["[CLS]", "was", "so", "bad", "it", "was", "[MASK]", ".", "[SEP]"]
    assert encoded.mask_positions.tolist() == [5, 6]


def test_long_texts_lose_words_on_the_right_behind_a_mask_at_the_beginning(bert_tokenizer):
    kind = tasks.Masked("{mask}: {text}", ("bad", "good"))
    encoded = encode(bert_tokenizer, TEXTS[1:], kind=kind, max_length=6)
    kept = bert_tokenizer.convert_ids_to_tokens(encoded.sequences[0])
    assert kept == ["[CLS]", "[MASK]", "[UNK]", "not", "so", "[SEP]"]


def test_the_kind_has_a_length_of_its_own(bert_tokenizer):
    kind = tasks.Masked(KIND.template, KIND.options, max_length=9)
    assert encode(bert_tokenizer, TEXTS, kind=kind, max_length=500).max_length == 9


def test_what_cannot_be_filled_in_is_refused(tokenizer, roberta_tokenizer):
    long = tasks.Masked(KIND.template, ("bad", "goodfinebad"))
    with pytest.raises(ValueError, match="'goodfinebad' must be one token of the model, but"):
        encode(tokenizer, TEXTS, kind=long)
    with pytest.raises(ValueError, match=r"must hold .* once, for the word to fill in"):
        encode(tokenizer, [f"so {tokenizer.mask_token}"])
    without = PreTrainedTokenizerFast(tokenizer_object=roberta_tokenizer.backend_tokenizer)
    with pytest.raises(ValueError, match="its tokenizer has no mask token"):
        encode(without, TEXTS)


def test_two_words_that_are_one_token_are_refused(bert_tokenizer):
    kind = tasks.Masked(KIND.template, ("bad", "BAD"))
    with pytest.raises(ValueError, match=r"two of \['bad', 'BAD'\] are the same token"):
        encode(bert_tokenizer, TEXTS, kind=kind)


@pytest.mark.parametrize("template", ["{text} It was.", "{mask} {text} {mask}"])
def test_a_template_needs_one_mask(template):
    with pytest.raises(ValueError, match=r"template must hold \{mask\} once"):
        tasks.Masked(template, ("bad", "good"))


@pytest.fixture(scope="module")
def model(roberta_tokenizer):
    config = RoBERTaConfig(
        vocab_size=len(roberta_tokenizer),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
        initializer_range=0.5,
    )
    return nnx.jit(lambda: RoBERTa(config, rngs=nnx.Rngs(0)))()


def test_scores_are_logits_at_the_mask_and_padding_never_changes_a_loss(model, roberta_tokenizer):
    """Each example alone and unpadded, against all together with padding on the right."""
    encoded = encode(roberta_tokenizer, TEXTS)
    forward = nnx.jit(lambda model, ids: model(ids))
    words = encoded.word_ids
    expected = np.stack(
        [
            np.asarray(forward(model, ids[None]))[0, position, words]
            for ids, position in zip(encoded.sequences, encoded.mask_positions, strict=True)
        ]
    )
    both = nnx.jit(lambda m, b: (tasks.masked_scores(m, b), tasks.masked_loss(m, b)))
    scores, loss = both(model, encoded.batch(range(3)))
    assert scores.dtype == jnp.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    log_p = expected - np.log(np.exp(expected).sum(-1, keepdims=True))
    np.testing.assert_allclose(loss, -log_p[range(3), [0, 1, 0]].mean(), rtol=1e-4)

    task = tasks.Task(KIND)
    evaluation = tasks.evaluate(
        lambda model, batch: both(model, batch)[0], model, encoded, task, batch_size=3
    )
    np.testing.assert_allclose(evaluation.loss, loss, rtol=1e-5)
    assert evaluation.score == (expected.argmax(-1) == [0, 1, 0]).mean()
