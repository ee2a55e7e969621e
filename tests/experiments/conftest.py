"""A tiny random OPT with a tokenizer of whole words, and a tiny task, in folders; and a folder for
the results of benchmarks.
"""

import json
import random

import pytest
from flax import nnx
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from experiments.benchmarks import _report
from zojax.models import OPT, OPTConfig

SPECIAL = ["<pad>", "</s>", "<unk>"]
FILLERS = ["the", "food", "film", "not", "very", "and"]
WORDS = [*SPECIAL, *FILLERS, "It", "was", "terrible", "great", "bad", "good", "fine"]


def _tokenizer():
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", WORDS.index("</s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


@pytest.fixture
def results(monkeypatch, tmp_path):
    """Where benchmarks write for the length of a test."""
    monkeypatch.setattr(_report, "RESULTS", tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tokenizer():
    return _tokenizer()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A folder as Hugging Face has it: weights, config and tokenizer."""
    config = OPTConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=2,
        ffn_dim=16,
        num_attention_heads=2,
        max_position_embeddings=20,
        init_std=0.3,
    )
    folder = tmp_path_factory.mktemp("model")
    OPT(config, rngs=nnx.Rngs(0)).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def task_folder(tmp_path_factory):
    """Reviews of five to nine words, so that all pad to one length; the last word has the label."""
    rng = random.Random(0)
    folder = tmp_path_factory.mktemp("task")
    for split, size in (("train", 12), ("validation", 5), ("test", 7)):
        lines = []
        for _ in range(size):
            label = rng.randrange(2)
            words = rng.choices(FILLERS, k=rng.randrange(4, 9))
            words.append(rng.choice((("bad",), ("good", "fine"))[label]))
            lines.append(json.dumps({"text": " ".join(words), "label": label}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder
