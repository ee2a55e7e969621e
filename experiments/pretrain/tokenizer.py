"""A byte-level BPE tokenizer as OPT's, trained on the corpus.

Special tokens have OPT's ids: <s> 0, <pad> 1, </s> 2, <unk> 3; every text starts with </s>.
"""

import itertools
import json
import pathlib

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from experiments.pretrain import corpus

SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>"]
START = 2
VOCAB_SIZE = 832
_NUM_DOCUMENTS = 20_000


def train() -> tokenizers.Tokenizer:
    """Learns the merges on the first documents of the corpus."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(itertools.islice(corpus.documents(), _NUM_DOCUMENTS), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="</s> $A", pair="</s> $A </s> $B", special_tokens=[("</s>", START)]
    )
    return tokenizer


def save(tokenizer: tokenizers.Tokenizer, folder: pathlib.Path, max_length: int) -> None:
    """Writes the two files that `transformers.AutoTokenizer` needs."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        # The general class takes tokenizer.json as it is; it exists in transformers 4 and 5.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "</s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
    }
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8", newline="\n")
