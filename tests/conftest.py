"""What all tests share."""

import jax
import pytest


@pytest.fixture
def key():
    """A key of the default generator, threefry2x32."""
    return jax.random.key(0, impl="threefry2x32")


@pytest.fixture
def x64():
    """Double precision for the length of a test: closed forms then hold to rounding."""
    with jax.enable_x64(True):
        yield
