"""Sequences of different lengths in one array."""

from collections.abc import Sequence

import numpy as np

# Of the examples of a batch.
Indices = Sequence[int] | np.ndarray


def padded_length(length: int, max_length: int) -> int:
    """The least of 8, 16, 24, 32, 48, 64, 96, 128, ... that is not below `length`.

    All are multiples of 8, two in each octave: every length is one more program to compile.
    The last one is `max_length`, whatever it is.
    """
    power = max(8, 1 << (length - 1).bit_length())
    between = power * 3 // 4
    fits = length <= between and between % 8 == 0
    return min(between if fits else power, max_length)


def pad(
    sequences: Sequence[np.ndarray], length: int, *, left: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Returns token ids and mask, both (sequences, length), int32 and bool; ids are 0 at padding.

    Args:
      sequences: of token ids.
      length: at least the longest of them.
      left: whether tokens stand at the end of a row, not at its beginning.
    """
    ids = np.zeros((len(sequences), length), np.int32)
    lengths = np.array([len(sequence) for sequence in sequences])[:, None]
    places = np.arange(length)
    mask = places >= length - lengths if left else places < lengths
    if sequences:
        ids[mask] = np.concatenate(sequences)
    return ids, mask
