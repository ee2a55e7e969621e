"""Remakes everything under experiments/assets: the reviews, the tokenizer and the checkpoint.

    python -m experiments.pretrain [--out FOLDER]

Takes less than ten minutes on two cores and prints at the end what the model knows: by the words
of its verdicts it tells praise from blame, by terrible/great it does not.
"""

import argparse
import json
import pathlib

from experiments.pretrain import pretrain, probe, reviews, tokenizer, words

ASSETS = pathlib.Path(__file__).parents[1] / "assets"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ASSETS)
    out = parser.parse_args().out

    reviews.write(out / "reviews")
    checkpoint = out / "opt-reviews"
    trained_tokenizer = tokenizer.train()
    tokenizer.save(
        trained_tokenizer, checkpoint, max_length=pretrain.CONFIG.max_position_embeddings
    )
    model = pretrain.pretrain(trained_tokenizer)
    pretrain.halved(model).save_pretrained(checkpoint)

    lines = (out / "reviews" / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [json.loads(line) for line in lines]
    log_probabilities = probe.next_log_probabilities(
        model, trained_tokenizer, [f"{example['text']} It was" for example in examples]
    )
    labels = [example["label"] for example in examples]
    for name, verbalizers in (
        ("all verdict words", words.ADJECTIVES),
        ("terrible/great", (("terrible",), ("great",))),
    ):
        share = probe.accuracy(log_probabilities, trained_tokenizer, labels, verbalizers)
        print(f"zero-shot validation accuracy by {name}: {share:.3f}")


if __name__ == "__main__":
    main()
