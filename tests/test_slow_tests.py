"""The list of slow tests names tests that are there."""

from pathlib import Path

from tests.slow_tests import slow_tests

ROOT = Path(__file__).parent.parent


def test_every_slow_test_is_a_test():
    assert slow_tests()
    for test in slow_tests():
        file, name = test.split("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), test
