"""How predictions are judged, all between 0 and 1, averaged over examples or classes.

For answers in free text, the words of a prediction p and of an answer a are what is left of them
in lower case without punctuation and articles. With |p ∩ a| the number of words in common, each
counted as often as it occurs in both,

    P = |p ∩ a| / |p|,    R = |p ∩ a| / |a|,    F1 = 2 P R / (P + R)

and the best of an example's answers counts.

Source: Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text",
arXiv:1606.05250, section 6.1; used for DROP as well in MeZO, arXiv:2305.17333.
"""

import collections
import importlib
import re
import string
from collections.abc import Sequence

import numpy as np

ARTICLES = ("a", "an", "the")
_ARTICLE = re.compile(rf"\b({'|'.join(ARTICLES)})\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Share of examples whose prediction is the label."""
    return float(np.mean(np.asarray(predictions) == np.asarray(labels)))


def macro_f1(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of 2 P R / (P + R), each class against all others; 0 where both are 0.

    The classes are those that occur among predictions or labels.
    """
    score = importlib.import_module("sklearn.metrics").f1_score  # its import takes a second
    return float(score(labels, predictions, average="macro", zero_division=0))


def f1(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> float:
    """Mean F1 of texts against the best of the answers of each."""
    return float(np.mean(_best(_f1, predictions, answers)))


def exact_match(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> float:
    """Share of texts with the very words of one of their answers, in their order."""
    return float(np.mean(_best(lambda p, a: _words(p) == _words(a), predictions, answers)))


METRICS = {"accuracy": accuracy, "macro_f1": macro_f1}
"""Those that judge the choice of a class or option."""


def _best(compare, predictions, answers):
    return [
        max(compare(prediction, answer) for answer in of_example)
        for prediction, of_example in zip(predictions, answers, strict=True)
    ]


def _f1(prediction: str, answer: str) -> float:
    predicted, right = _words(prediction), _words(answer)
    common = (collections.Counter(predicted) & collections.Counter(right)).total()
    # 2 P R / (P + R), also where one of them has no words.
    return 2 * common / (len(predicted) + len(right)) if common else 0.0


def _words(text: str) -> list[str]:
    return _ARTICLE.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()
