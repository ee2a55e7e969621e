"""Time and memory of compiled programs."""

import jax
import jax.numpy as jnp
import pytest

from zojax.training import median_seconds, peak_bytes, seconds_side_by_side


def test_arguments_results_and_temporaries_count_once():
    x = jnp.ones(1000)
    double = jax.jit(lambda x: 2 * x)
    in_place = jax.jit(lambda x: 2 * x, donate_argnums=0)
    assert peak_bytes(double.lower(x).compile()) == pytest.approx(8000, abs=100)
    assert peak_bytes(in_place.lower(x).compile()) == pytest.approx(4000, abs=100)


def test_temporaries_count():
    x = jnp.ones((100, 100))
    product = jax.jit(lambda x: jnp.max(jnp.sort(x @ x, 0)))
    assert peak_bytes(product.lower(x).compile()) >= 2 * 40000


def test_every_function_runs_in_turn():
    calls = []
    seconds = median_seconds(
        {name: lambda name=name: calls.append(name) for name in "ab"}, repetitions=3
    )
    assert calls == ["a", "b"] * 4
    assert set(seconds) == {"a", "b"}
    assert all(value >= 0 for value in seconds.values())


def test_calls_before_each_that_is_timed():
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = seconds_side_by_side(functions, repetitions=3, untimed=1)
    assert calls == ["a", "a", "b", "b"] * 4
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}
