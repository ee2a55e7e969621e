"""The data set of the fine-tuning task: reviews with their polarity, in three files.

The test split is written with the reserved word pairs (see `grammar`): no sentence and no
clause of it occurs in train, in validation or in the pretraining corpus.
"""

import json
import pathlib
import random

from experiments.pretrain import words
from experiments.pretrain.grammar import Writer

SEED = 7
MAX_WORDS = 28
SIZES = {"train": 1000, "validation": 500, "test": 1000}


def write(folder: pathlib.Path, seed: int = SEED) -> None:
    """Writes `<split>.jsonl` for each split, one {"text": ..., "label": 0 or 1} a line."""
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    for split, size in SIZES.items():
        rng = random.Random(f"{seed} {split}")
        lines = _examples(rng, size, seen, reserved=split == "test")
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8", newline="\n")


def _examples(rng: random.Random, size: int, seen: set[str], *, reserved: bool) -> list[dict]:
    """Distinct examples, as many of either label; adds their texts to `seen`."""
    writer = Writer(rng, reserved=reserved)
    examples = []
    while len(examples) < size:
        label = len(examples) % 2
        text = writer.review(rng.choice(tuple(words.ASPECTS)), label)
        if text not in seen and len(text.split()) <= MAX_WORDS:
            seen.add(text)
            examples.append({"text": text, "label": label})
    rng.shuffle(examples)
    return examples
