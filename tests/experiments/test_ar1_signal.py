"""The experiment on the scale of adapters, in its quick form, and the closed form it prints."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import ar1_signal
from experiments._ar1_slopes import sign_accuracy
from experiments._ar1_toy import with_noise


@pytest.fixture(scope="module")
def rows():
    before = ar1_signal.RESULTS.read_bytes()
    rows = ar1_signal.main(ar1_signal.Settings(quick=True))
    assert ar1_signal.RESULTS.read_bytes() == before
    return rows


def of(rows, table):
    return [row for row in rows if row["table"] == table]


def test_signal_and_ratio_fall_with_the_rank_under_the_usual_scale_alone(rows):
    verdicts = of(rows, "verdict")
    assert [round(row["value"]) for row in verdicts] == [-1, -2, 0, 0]
    assert all(row["pass"] for row in verdicts)


def test_what_is_measured_is_what_the_closed_forms_say(rows):
    """512 slopes: the relative error of a root mean square is 1/√1024, of a variance ratio √8/√512.

    Signs agree within 4 standard deviations of a mean of 512 coins.
    """
    for row in of(rows, "signal"):
        assert row["signal"] == pytest.approx(row["eq. (6)"], rel=5 / 32)
        assert row["ratio"] == pytest.approx(row["2μ²τ²/σ²"], rel=5 * math.sqrt(4 / 512))
        assert row["sign"] == pytest.approx(row["closed form"], abs=4 * math.sqrt(0.25 / 512))
    assert len({row["closed form"] > 0.6 for row in of(rows, "signal")}) == 2


def test_the_training_table_has_every_form(rows):
    table = of(rows, "training")
    assert [(row["rank"], row["noise"]) for row in table] == [(8, 0.0), (8, 0.03)]
    for row in table:
        assert all(0 < row[form]["ratio"] < 1.0 for form in ar1_signal.FORMS)


@pytest.mark.parametrize("ratio", [1e-4, 0.178**2, 1.0, 9.0])
def test_sign_accuracy_is_the_integral(ratio):
    """Of the normal density of δ times the chance that the noise does not turn its sign."""
    delta = np.linspace(-12, 12, 400_001)
    density = np.exp(-(delta**2) / 2) / math.sqrt(2 * math.pi)
    kept = 0.5 * (1 + np.vectorize(math.erf)(np.abs(delta) * math.sqrt(ratio / 2)))
    np.testing.assert_allclose(sign_accuracy(ratio), np.trapezoid(density * kept, delta), atol=1e-9)


def test_sign_accuracy_collapses_to_a_coins():
    """ρ = .178 at rank 1 and α/r; values of an independent simulation, to 3 decimals."""
    ranks = np.array([1, 2, 4, 8, 16, 64])
    simulated = [0.556, 0.528, 0.515, 0.506, 0.504, 0.500]
    np.testing.assert_allclose(sign_accuracy((0.178 / ranks) ** 2), simulated, atol=2e-3)


def test_noise_differs_from_point_to_point_of_a_step(key):
    """Standard normal, and uncorrelated between neighboring values: 5 standard deviations."""
    values = 1.0 + jnp.arange(4000) * 2.0**-20
    noise = np.asarray(jax.vmap(lambda value: with_noise(value, 1.0, key) - value)(values))
    assert abs(noise.mean()) < 5 / math.sqrt(4000)
    assert abs(noise.std() - 1) < 5 / math.sqrt(8000)
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 5 / math.sqrt(4000)
