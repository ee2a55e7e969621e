"""What is said while something takes a while."""

import io

from rich.console import Console

from experiments._status import showing


def told(total, size, **console):
    output = io.StringIO()
    with showing(Console(file=output, **console), "evaluating") as watch:
        for done in range(size, total + size, size):
            watch(min(done, total), total)
    return output.getvalue()


def test_elsewhere_than_on_a_terminal_there_is_a_line_at_each_quarter():
    assert told(100, 10).splitlines() == [
        "evaluating …",
        "evaluating: 30 of 100",
        "evaluating: 50 of 100",
        "evaluating: 80 of 100",
    ]
    assert told(5, 8).splitlines() == ["evaluating …"]


def test_a_line_of_a_terminal_follows_and_is_gone_in_the_end():
    output = told(100, 10, force_terminal=True, width=60)
    assert "evaluating: 100 of 100" in output
    assert output.endswith("\x1b[2K")


def test_a_quiet_console_says_nothing():
    assert told(100, 10, quiet=True) == ""
