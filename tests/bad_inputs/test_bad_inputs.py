"""Every bad input of the table is refused by name, and nothing is written."""

import re

import pytest

from tests.bad_inputs.case import BadInput, fault
from tests.bad_inputs.table import CASES


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_is_refused_by_name(case, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    assert fault(case, folder) is None


def test_there_are_many_and_no_two_are_the_same():
    assert len({case.name for case in CASES}) == len(CASES) >= 150


def write(folder):
    (folder / "written").write_text("")
    raise ValueError("no")


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda folder: None, "it is not refused"),
        (lambda folder: {}["no"], "KeyError instead of a message"),
        (lambda folder: int("other"), "the message is .*other"),
        (write, "something was written"),
    ],
)
def test_what_is_refused_in_another_way_is_found(tmp_path, call, found):
    case = BadInput("", lambda folder: lambda: call(folder), "no")
    assert re.search(found, fault(case, tmp_path))
