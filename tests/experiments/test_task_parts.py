"""Parts of a batch, as several processes make them, are together the batch that one makes."""

import numpy as np
import pytest

from experiments.tasks._encoding import Encoded
from experiments.tasks._image_encoding import ImageFormat, ImageSplit
from experiments.tasks._masked_encoding import MaskedSplit
from experiments.tasks._prompts import Prompts

LENGTHS = [3, 40, 5, 17, 4, 9]
TEXTS = [np.arange(1, length + 1, dtype=np.int32) for length in LENGTHS]
LABELS = np.array([0, 1, 0, 1, 1, 0], np.int32)


def encoded(*, gold_only):
    """The second option of the second example is the longest of all."""
    candidates = [[text[: max(3, len(text) // 3)], text] for text in TEXTS]
    lengths = np.array([[1, 2]] * len(TEXTS), np.int32)
    gold = np.eye(2, dtype=bool)[LABELS]
    return Encoded(candidates, lengths, LABELS, gold, 2, 64, 0, gold_only=gold_only)


SPLITS = {
    "options": encoded(gold_only=False),
    "right options": encoded(gold_only=True),
    "masked": MaskedSplit(TEXTS, LABELS, np.array([7, 8], np.int32), LABELS, 64, 0),
    "prompts": Prompts(TEXTS, [("a",)] * 6, [[text[:2]] for text in TEXTS], 64),
    "pictures": ImageSplit(
        [np.full((2, 2, 1), n, np.uint8) for n in LENGTHS], LABELS, ImageFormat(2, 1)
    ),
}


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("processes", [2, 3])
def test_parts_make_the_whole(name, processes):
    split, order = SPLITS[name], [4, 1, 0, 2, 5, 3]
    whole = split.batch(order)
    parts = [split.batch(part, order) for part in np.split(np.array(order), processes)]
    for key, array in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), array)
    if name != "pictures":
        assert split.batch(order[2:4])["input_ids"].shape[-1] < whole["input_ids"].shape[-1]
