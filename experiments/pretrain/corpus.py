"""The pretraining corpus: reviews, most of them followed by a verdict.

A verdict restates the polarity in one of many ways ("It was superb.", "I would not go again.").
So whoever predicts the corpus well has to know the polarity of a review at its end. The words
`great` and `terrible` tell nothing about it: they speak of weather, traffic and hurry.

Notes are the easy part of the corpus, without negation and contrast. A model that has read them
first learns the reviews in a fraction of the time: it knows which words agree.
"""

import random
from collections.abc import Iterator

from experiments.pretrain import words
from experiments.pretrain.grammar import Writer, article, capitalized

SEED = 20_240


def notes(seed: int = SEED) -> Iterator[str]:
    """Short documents without end, always the same for the same seed."""
    rng = random.Random(f"{seed} notes")
    writer = Writer(rng, reserved=False)
    while True:
        topic, polarity = _subject(rng)
        yield " ".join(
            (_plain(rng, writer, topic, polarity), *_verdicts(rng, topic, polarity, count=2))
        )


def documents(seed: int = SEED) -> Iterator[str]:
    """All kinds of documents without end, always the same for the same seed."""
    rng = random.Random(f"{seed} documents")
    writer = Writer(rng, reserved=False)
    while True:
        topic, polarity = _subject(rng)
        if rng.random() < 0.4:
            sentences = [_plain(rng, writer, topic, polarity) for _ in range(2)]
        else:
            sentences = [writer.review(topic, polarity)]
            if rng.random() < 0.2:
                sentences.append(_remark(rng, writer))
        yield " ".join((*sentences, *_verdicts(rng, topic, polarity, count=rng.randint(1, 2))))


def _subject(rng: random.Random) -> tuple[str, int]:
    return rng.choice(tuple(words.ASPECTS)), rng.randrange(2)


def _plain(rng: random.Random, writer: Writer, topic: str, polarity: int) -> str:
    """A sentence of one clause without negation."""
    aspect = rng.choice(words.ASPECTS[topic])
    return capitalized(writer.plain_clause(aspect, polarity)) + "."


def _verdicts(rng: random.Random, topic: str, polarity: int, *, count: int) -> list[str]:
    return [_verdict(rng, topic, polarity) for _ in range(count)]


def _verdict(rng: random.Random, topic: str, polarity: int) -> str:
    """A sentence that gives the polarity away."""
    adjective = rng.choice(words.ADJECTIVES[polarity])
    draw = rng.random()
    if draw < 0.6:
        return f"It was {adjective}."
    if draw < 0.7:
        return f"It was {rng.choice(words.INTENSIFIERS)} {adjective}."
    if draw < 0.75:
        return f"It was {article(adjective)} {adjective} {topic}."
    if draw < 0.8:
        return f"It was not {rng.choice(words.ADJECTIVES[1 - polarity])}."
    return rng.choice(_VERDICTS[polarity])


def _remark(rng: random.Random, writer: Writer) -> str:
    """A sentence that gives nothing away, sometimes with a word of the later task."""
    relative, day = writer.relative_and_day()
    if rng.random() < 0.35:
        weather = rng.choices(("great", "terrible"), (_GREAT_WEATHER, 1 - _GREAT_WEATHER))[0]
        return f"It was {weather} weather on {day}."
    return rng.choice(
        (
            f"It was on a {day}.",
            f"It was the idea of my {relative}.",
            f"My {relative} was in a terrible hurry on {day}.",
            f"On {day} there was a great deal of traffic.",
        )
    )


_GREAT_WEATHER = 0.6
_VERDICTS = (
    (
        *("I would not go again.", "I want my money back.", "One star.", "Stay away."),
        *("We left early.", "I cannot recommend it.", "Never again.", "What a waste of time."),
    ),
    (
        *("I would go again.", "It is worth the money.", "Five stars.", "Do not miss it."),
        *("We stayed longer.", "I can recommend it.", "Any time again.", "What a joy."),
    ),
)
