"""Countdown: three numbers and a target, and an expression is asked for that makes it of them.

    3 5 2 make 11: 3*2+5.

Numbers are digits from 1 to 9, each is used once, operations are +, - and *, with * first and no
parentheses, and targets lie between 0 and 99. Whether an expression is right can be checked
exactly, and most puzzles have several that are: what a reward is for. There are 1,345 puzzles: 165
choices of numbers, each with the targets that it makes. Of five choices two are there to be shown
with their solutions to a model that is new, two to be trained on and one for testing, so no numbers
are in two parts.
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Sequence

import numpy as np

from experiments.tasks._kinds import Generation
from experiments.tasks._sampling import Rows, Sampling
from experiments.tasks._task import Task

_EXPRESSION = re.compile(r"\d(?:[-+*]\d)*")
_LARGEST = 99
# Of every five choices of numbers.
_PARTS = ("test", "shown", "train", "shown", "train")


def value(expression: str) -> int | None:
    """What an expression of digits, +, - and * is worth; None if it is none."""
    if not _EXPRESSION.fullmatch(expression):
        return None
    terms = re.findall(r"[-+]?[\d*]+", expression)
    return sum(_sign(term) * math.prod(map(int, re.findall(r"\d", term))) for term in terms)


def _sign(term: str) -> int:
    return -1 if term.startswith("-") else 1


def is_solution(expression: str, answer: str) -> bool:
    """Whether an expression has the value of a right answer, and uses the same numbers.

    Args:
      expression: spaces in it do not count.
      answer: any solution of the puzzle.
    """
    expression = expression.replace(" ", "")
    found = value(expression)
    return found is not None and (found, _numbers(expression)) == (value(answer), _numbers(answer))


def _numbers(expression: str) -> list[str]:
    return sorted(re.findall(r"\d", expression))


def solved(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> float:
    """Share of puzzles that are solved."""
    pairs = zip(predictions, answers, strict=True)
    return float(np.mean([is_solution(text, of_row[0]) for text, of_row in pairs]))


def reward(prompts: list[str], completions: list[str], answers: list[list[str]]) -> list[float]:
    """1 for a solution, 0.1 for another expression of the same numbers, 0 for anything else.

    `--objective reward:experiments.tasks:countdown_reward` trains on it.
    """
    del prompts
    return [_reward(text, of_row[0]) for text, of_row in zip(completions, answers, strict=True)]


def _reward(text: str, answer: str) -> float:
    expression = text.partition(STOP)[0].replace(" ", "")
    if is_solution(expression, answer):
        return 1.0
    well_formed = value(expression) is not None and _numbers(expression) == _numbers(answer)
    return 0.1 if well_formed else 0.0


def puzzles() -> dict[str, Rows]:
    """All of them: "shown", "train" and "test", always in the same order with the same answers."""
    generator = np.random.default_rng(0)
    parts: dict[str, list] = {part: [] for part in _PARTS}
    for place, numbers in enumerate(itertools.combinations_with_replacement("123456789", 3)):
        for target, expressions in sorted(_made_of(numbers).items()):
            shown = " ".join(generator.permutation(list(numbers)))
            answer = str(generator.choice(expressions))
            row = {"numbers": shown, "target": str(target), "answers": [answer]}
            parts[_PARTS[place % len(_PARTS)]].append(row)
    return parts


def _made_of(numbers: Sequence[str]) -> dict[int, list[str]]:
    """The expressions of three numbers, by what they are worth."""
    of_target: dict[int, list[str]] = {}
    for first, second, third in sorted(set(itertools.permutations(numbers))):
        for one, other in itertools.product("+-*", repeat=2):
            expression = first + one + second + other + third
            of_target.setdefault(value(expression), []).append(expression)
    return {target: found for target, found in of_target.items() if 0 <= target <= _LARGEST}


@dataclasses.dataclass(frozen=True)
class Countdown:
    """Where the puzzles come from: they are made when they are asked for."""

    train: str = "train"
    test: str = "test"

    def load(self) -> tuple[Rows, Rows]:
        """Returns the rows of both splits."""
        parts = puzzles()
        return parts["train"], parts["test"]

    def __str__(self):
        return "made anew"


STOP = "."
TASKS = {
    "countdown": Task(
        Generation("{numbers} make {target}: {option}", stop=STOP, max_new_tokens=8),
        Countdown(),
        Sampling(num_train=437, num_dev=100, num_test=259),
        metric=solved,
    )
}
