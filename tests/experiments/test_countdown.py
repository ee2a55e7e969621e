"""The puzzles, and what is right."""

import itertools

import pytest

from experiments import tasks
from experiments.tasks import _countdown as countdown


def test_an_expression_has_the_value_that_python_gives_it():
    for first, second in itertools.product("+-*", repeat=2):
        expression = f"3{first}5{second}2"
        assert countdown.value(expression) == eval(expression)


@pytest.mark.parametrize("text", ["", "3+", "+3", "3++5", "35", "(3+5)", "3/5", "3+x"])
def test_anything_else_has_none(text):
    assert countdown.value(text) is None


def test_every_answer_solves_its_puzzle_and_no_numbers_are_in_two_parts():
    parts = countdown.puzzles()
    assert sum(map(len, parts.values())) == 1345
    for row in (row for rows in parts.values() for row in rows):
        (answer,) = row["answers"]
        assert countdown.value(answer) == int(row["target"]) in range(100)
        assert sorted(row["numbers"].split()) == countdown._numbers(answer)
    numbers = [{"".join(sorted(row["numbers"])) for row in rows} for rows in parts.values()]
    assert len(set.union(*numbers)) == sum(map(len, numbers)) == 165


def test_a_solution_may_be_another_one_than_the_answer():
    assert countdown.is_solution("2 * 3 + 5", "3*2+5")
    assert countdown.solved(["5+2*3", "5+3+2"], [["3*2+5"], ["3*2+5"]]) == 0.5


def test_an_expression_of_other_numbers_is_no_solution():
    assert not countdown.is_solution("9+2", "3*2+5")
    assert not countdown.is_solution("6+5", "3*2+5")


def test_the_reward_tells_apart_solutions_expressions_and_the_rest():
    texts = ["2*3+5.", "5+3+2.", "9+2."]
    assert tasks.countdown_reward([""] * 3, texts, [["3*2+5"]] * 3) == [1.0, 0.1, 0.0]
