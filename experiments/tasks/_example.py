"""One example, in words or pixels, before it meets a tokenizer."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Example:
    """A text that one of its options ends.

    Attributes:
      prompt: the text without an option.
      candidates: the text with each option in turn.
      label: index of the right candidate, the one that is trained on.
      gold: indices of all that count as right, where there may be several.
      answers: what an answer in free text is compared with, where one is generated.
    """

    prompt: str
    candidates: tuple[str, ...]
    label: int
    gold: tuple[int, ...] = ()
    answers: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class MaskedExample:
    """A text with one word masked.

    Attributes:
      before: what stands before the mask.
      after: what stands behind it.
      words: those that may stand at the mask, in the order of the labels.
      label: index of the right word.
    """

    before: str
    after: str
    words: tuple[str, ...]
    label: int


@dataclasses.dataclass(frozen=True)
class TextExample:
    """A text, or a pair of them, and its class.

    Attributes:
      texts: one or two.
      label: index of the class.
    """

    texts: tuple[str, ...]
    label: int


@dataclasses.dataclass(frozen=True)
class ImageExample:
    """A picture and its class.

    Attributes:
      pixels: (height, width, 1 or 3), uint8.
      label: index of the class.
    """

    pixels: np.ndarray
    label: int
