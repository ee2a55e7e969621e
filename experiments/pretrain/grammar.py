"""A grammar of reviews: polarity through negation, contrast and concession.

A clause says one thing about one aspect; its polarity is that of its word, flipped by a
negation. A sentence joins clauses; in a contrast the main clause decides. Every sentence of
opinion in a review has the review's polarity, the other clauses are there to mislead.

Word pairs keep the test set apart. Every clause and every neutral sentence holds one pair
(aspect, word) or (relative, day). A fifth of all pairs is reserved: a writer with
`reserved=True` uses only these, any other writer none of them, so no sentence (not even a
clause) can be written by both.
"""

import random
from typing import Any

from experiments.pretrain import words

_PAIR_CLASSES = 5
_ASPECTS = tuple(aspect for aspects in words.ASPECTS.values() for aspect in aspects)


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def capitalized(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


class Writer:
    """Writes reviews, sentence by sentence, with the given source of randomness.

    Args:
      rng: where every choice comes from; two writers with equal seeds write the same.
      reserved: whether to write with the reserved word pairs only, or with all the others.
    """

    def __init__(self, rng: random.Random, *, reserved: bool):
        self._rng = rng
        self._reserved = reserved

    def review(self, topic: str, polarity: int) -> str:
        """One to three sentences; each states the polarity or nothing at all."""
        aspects = self._rng.sample(words.ASPECTS[topic], 4)
        sentences = [self.opinion(aspects[:2], polarity)]
        if self._rng.random() < 0.5:
            sentences.append(self.opinion(aspects[2:], polarity))
        if self._rng.random() < 0.3:
            sentences.insert(self._rng.randrange(len(sentences) + 1), self.fact(topic))
        return " ".join(sentences)

    def opinion(self, aspects: list[str], polarity: int) -> str:
        """A sentence of the given polarity about one or both aspects."""
        first, second = aspects
        main = self.clause(first, polarity)
        draw = self._rng.random()
        if draw < 0.45:
            sentence = main
        elif draw < 0.55:
            sentence = f"{main} and {self.clause(second, polarity)}"
        elif draw < 0.65:
            sentence = f"the {second} was {self._adjective(second, 1 - polarity)}, but {main}"
        else:
            against = self.clause(second, 1 - polarity)
            sentence = self._rng.choice(
                (
                    f"although {against}, {main}",
                    f"{against}, but {main}",
                    f"{main}, even though {against}",
                    f"{main}, although {against}",
                    f"yes, {against}; still, {main}",
                )
            )
        return capitalized(sentence) + "."

    def clause(self, aspect: str, polarity: int) -> str:
        """One statement about one aspect, in lower case except for the pronoun I."""
        draw = self._rng.random()
        if draw < 0.6:
            return self.plain_clause(aspect, polarity)
        if draw < 0.8:
            negation = self._rng.choice(words.NEGATIONS)
            return f"the {aspect} was {negation} {self._adjective(aspect, 1 - polarity)}"
        verb = self._verb(aspect, 1 - polarity)
        if draw < 0.92:
            return f"{self._rng.choice(words.PRONOUNS)} did not {verb[1]} the {aspect}"
        return f"nobody {verb[0]} the {aspect}"

    def plain_clause(self, aspect: str, polarity: int) -> str:
        """A clause without negation."""
        draw = self._rng.random()
        if draw < 0.3:
            verb = self._verb(aspect, polarity)
            return f"{self._rng.choice(words.PRONOUNS)} {verb[0]} the {aspect}"
        adjective = self._adjective(aspect, polarity)
        if draw < 0.5:
            return f"the right word for the {aspect} is {adjective}"
        if draw < 0.75:
            adjective = f"{self._rng.choice(words.INTENSIFIERS)} {adjective}"
        return f"the {aspect} was {adjective}"

    def fact(self, topic: str) -> str:
        """A sentence without polarity."""
        relative, day = self.relative_and_day()
        return self._rng.choice(
            (
                f"My {relative} chose the {topic} on {day}.",
                f"This {topic} came up with my {relative} last {day}.",
                f"On {day} my {relative} asked me about the {topic}.",
            )
        )

    def relative_and_day(self) -> tuple[str, str]:
        """A pair of words for a sentence without polarity."""
        relative = self._rng.choice(words.RELATIVES)
        return relative, self._partner(words.RELATIVES.index(relative), words.DAYS)

    def _adjective(self, aspect: str, polarity: int) -> str:
        return self._partner(_ASPECTS.index(aspect), words.ADJECTIVES[polarity])

    def _verb(self, aspect: str, polarity: int) -> tuple[str, str]:
        return self._partner(_ASPECTS.index(aspect), words.VERBS[polarity])

    def _partner(self, place: int, partners: tuple) -> Any:
        """One of the partners that this writer may put beside the word at `place` of its list."""
        return self._rng.choice(
            [
                partner
                for other_place, partner in enumerate(partners)
                if ((place + other_place) % _PAIR_CLASSES == 0) == self._reserved
            ]
        )
