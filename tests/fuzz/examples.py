"""Cases by number: the same number gives the same case, everywhere."""

from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

_T = TypeVar("_T")


def example(strategy: SearchStrategy[_T], number: int) -> _T:
    """What a strategy gives for a number.

    A run of Hypothesis begins with the simplest example and makes the next ones at random, many of
    them changes of those before it. Cases are dear, so each is the first random one of a run of its
    own: no two of them have more in common than by chance.
    """
    found: list[_T] = []

    @seed(number)
    @settings(
        max_examples=2,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(value: _T) -> None:
        found.append(value)

    run()
    return found[-1]
