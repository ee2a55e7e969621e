"""Tweets with the mean sentiment that at least twenty people gave them, as a task in two classes.

From the source archive of vaderSentiment (MIT): `tweets_GroundTruth.txt`, 4,200 lines of number,
mean rating from -4 to 4, and text; user names and addresses are made anonymous there. "great" is a
mean of 0.5 or more, "terrible" one of -0.5 or less, and what lies between is left out. Every split
has equally many of both, so guessing scores 50 %.

Source: Hutto, Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
Media Text", ICWSM 2014.
"""

import html
import json
from pathlib import Path

import numpy as np

from experiments.real_text import packages

PACKAGE = "vaderSentiment==3.3.2"
OPTIONS = ("terrible", "great")
_LEAST = 0.5
# Of each class; the test split comes first, so that it stays when others grow.
_SIZES = {"test": 300, "validation": 64, "train": 128}


def prepare(folder: Path, downloads: Path) -> Path:
    """Writes train, validation and test as JSON lines, unless they are there."""
    if not (folder / "train.jsonl").exists():
        archive = packages.download(PACKAGE, downloads, source=True)
        inner = packages.member(archive, "hutto_ICWSM_2014.tar.gz", downloads / "vader.tar.gz")
        file = packages.member(inner, "tweets_GroundTruth.txt", downloads / "tweets.txt")
        folder.mkdir(parents=True, exist_ok=True)
        for split, rows in splits(file.read_text(encoding="utf-8")).items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def splits(lines: str) -> dict[str, list[dict]]:
    """The rows of each split, drawn by a seed that stays the same.

    Args:
      lines: of the file.
    """
    of_class: tuple[list[str], list[str]] = ([], [])
    for line in lines.splitlines():
        _, rating, text = line.split("\t", 2)
        if abs(float(rating)) >= _LEAST:
            of_class[float(rating) > 0].append(html.unescape(text).strip())
    generator, drawn, start = np.random.default_rng(0), {}, 0
    orders = [generator.permutation(len(texts)) for texts in of_class]
    for split, size in _SIZES.items():
        rows = [
            {"text": of_class[label][index], "label": label}
            for label in (0, 1)
            for index in orders[label][start : start + size]
        ]
        drawn[split] = [rows[index] for index in generator.permutation(len(rows))]
        start += size
    return drawn
