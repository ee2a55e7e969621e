"""What a line of the log says of the steps before it."""

import math

import jax.numpy as jnp
import numpy as np

from experiments._progress import Window


def measured(values, evaluations, nonfinite):
    return {
        "value": jnp.array(values, jnp.float32),
        "num_evaluations": jnp.array(evaluations),
        "num_nonfinite": jnp.array(nonfinite),
    }


def test_calls_of_one_step_and_of_several_are_read_alike():
    one, several = Window(), Window()
    steps = [(0.1, 2, 0), (math.nan, 4, 1), (0.3, 6, 1), (0.7, 8, 1)]
    for step in steps:
        one.add(measured(*step), tokens=5)
    several.add(measured(*zip(*steps[:3], strict=True)), tokens=15)
    several.add(measured(*steps[3]), tokens=5)
    ours, theirs = several.read(4), one.read(4)
    for numbers in (ours, theirs):
        # Twenty tokens, two evaluations of each.
        assert numbers["evaluations_per_second"] > 0
        expected = 5 * numbers["evaluations_per_second"]
        np.testing.assert_allclose(numbers["tokens_per_second"], expected, rtol=1e-12)
        del numbers["tokens_per_second"], numbers["evaluations_per_second"]
    assert ours == theirs
    assert ours["train_loss"] == np.mean(np.float32([0.1, 0.3, 0.7]).astype(float))
    assert (ours["loss_evaluations"], ours["num_nonfinite"]) == (8, 1)


def test_a_window_without_a_finite_loss_has_no_mean():
    window = Window()
    window.add(measured([math.inf, math.nan], [2, 4], [1, 2]), tokens=8)
    numbers = window.read(2)
    assert math.isnan(numbers["train_loss"])
    assert numbers["num_nonfinite"] == 2


def test_of_several_calls_that_make_a_step_the_last_one_counts():
    """A loss of a batch is one evaluation, in however many parts."""
    window = Window(accumulate=2)
    for step in [(0.0, 2, 0), (0.5, 4, 0), (0.5, 6, 0), (0.7, 8, 1)]:
        window.add(measured(*step), tokens=5)
    numbers = window.read(2)
    assert numbers["train_loss"] == np.mean(np.float32([0.5, 0.7]).astype(float))
    assert (numbers["loss_evaluations"], numbers["num_nonfinite"]) == (4, 1)


def test_signal_is_measured_in_roundings_of_the_loss():
    """Of queries that add up to differences of 2⁻²⁰ at a loss of 0.5: 2⁻²⁰ / (2⁻²⁴ 0.5)."""
    radius, queries = 2.0**-10, 2
    coefficient = 2.0**-20 / (radius * queries)
    one, several = (Window(difference=radius * queries) for _ in range(2))
    signs = jnp.array([[coefficient, -coefficient], [-coefficient, coefficient]])
    for row in signs:
        one.add(measured(0.5, 4, 0) | {"coefficients": row}, tokens=1)
    several.add(measured([0.5, 0.5], [2, 4], [0, 0]) | {"coefficients": signs}, tokens=2)
    assert one.read(2)["coefficient_snr"] == several.read(2)["coefficient_snr"] == 32.0
