"""What all tests share."""

import gc
import os

import jax
import pytest

from tests.compiling import QUICKLY, as_flags
from tests.slow_tests import slow_tests

# XLA reads this when it starts, here and in the processes that tests start. What was there comes
# later and goes first.
os.environ["XLA_FLAGS"] = " ".join((*as_flags(QUICKLY), os.environ.get("XLA_FLAGS", "")))
# Programs are lowered in less time without the lines of Python that every operation came from.
jax.config.update("jax_include_full_tracebacks_in_locations", False)
jax.config.update("jax_traceback_in_locations_limit", 1)
# What is imported stays: looking through it again and again takes a tenth of the time of tracing.
gc.set_threshold(100_000, 50, 50)


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items):
    slow = slow_tests()
    for item in items:
        if item.nodeid in slow:
            item.add_marker("slow")


def pytest_collection_finish():
    gc.collect()
    gc.freeze()


@pytest.fixture
def key():
    """A key of the default generator, threefry2x32."""
    return jax.random.key(0, impl="threefry2x32")


@pytest.fixture
def x64():
    """Double precision for the length of a test: closed forms then hold to rounding."""
    with jax.enable_x64(True):
        yield
