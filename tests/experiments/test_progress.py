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
    assert ours.pop("tokens_per_second") > 0
    assert theirs.pop("tokens_per_second") > 0
    assert ours == theirs
    assert ours["train_loss"] == np.mean(np.float32([0.1, 0.3, 0.7]).astype(float))
    assert (ours["loss_evaluations"], ours["num_nonfinite"]) == (8, 1)


def test_a_window_without_a_finite_loss_has_no_mean():
    window = Window()
    window.add(measured([math.inf, math.nan], [2, 4], [1, 2]), tokens=8)
    numbers = window.read(2)
    assert math.isnan(numbers["train_loss"])
    assert numbers["num_nonfinite"] == 2
