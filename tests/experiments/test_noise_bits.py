"""The comparison of laws by their random bits, in short runs."""

import json

import numpy as np
import pytest

from experiments import noise_bits
from experiments.benchmarks import slices


def test_a_difference_is_told_in_standard_errors():
    """Means 2 and 1; both errors are √(1/3), so the difference has √(2/3)."""
    mean, error, difference, in_errors = noise_bits.compared(
        np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])
    )
    assert (mean, difference) == (2.0, 1.0)
    assert error == pytest.approx(3**-0.5)
    assert in_errors == pytest.approx(1.5**0.5)


def test_every_law_is_run_from_the_same_starts(results):
    settings = noise_bits.Settings(seeds=(0, 1), tasks=("Quadratic",), function_steps=20, dim=50)
    noise_bits.main(settings)
    lines = (results / "noise_bits.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["bits"] for row in rows] == [32, 16, 8]
    # Twenty short steps from ln(d / 2), about 3.2.
    assert all(2.5 < row["loss"] < 3.7 for row in rows)
    assert len({row["loss"] for row in rows}) == 3


@pytest.mark.parametrize(
    ("settings", "wrong", "words"),
    [
        (
            noise_bits.Settings,
            {"tasks": ("Sphere",)},
            "tasks: 'Sphere' is unknown; choose from rev",
        ),
        (noise_bits.Settings, {"seeds": (3,)}, "seeds must be two or more"),
        (
            slices.Settings,
            {"models": ("OPT-1T",)},
            "models: 'OPT-1T' is unknown; choose from OPT-13B",
        ),
        (slices.Settings, {"layouts": ("zero",)}, "layouts: 'zero' is unknown; choose from fsdp"),
    ],
)
def test_what_is_wrong_is_named(settings, wrong, words):
    with pytest.raises(ValueError, match=words):
        settings(**wrong)
