"""What the notebooks claim, checked on what is left when their sources have run.

    python tests/notebook_claims.py notebooks/01_first_steps.py

A process of its own for each: one of them asks for eight devices, which has to be done first.
"""

import runpy
import sys
from pathlib import Path

import numpy as np


def check_first_steps(names):
    """Both methods learn."""
    assert_falls(names["losses"], 0.2)


def check_finetune_a_checkpoint(names):
    """The model learns, and what was written is what was trained."""
    assert_falls(names["losses"], 0.4)
    assert names["accuracy_before"] < 0.6
    assert names["accuracy_after"] > 0.9
    assert names["apart"] == 0
    assert {path.name for path in names["out"].iterdir()} == {"config.json", "model.safetensors"}


def check_your_own_method(names):
    """The estimate has the mean that it should, and one rate does for both losses."""
    assert_falls(names["losses"], 0.2)
    gradient = names["hessian"] @ names["x"]
    assert np.abs(names["estimates"].mean(axis=0) - gradient).max() < 0.3
    assert abs(names["curvatures"].mean() - 10) < 0.3
    own = [names["ends"][names["mezo_by_curvature"], scale] for scale in (1.0, 1000.0)]
    np.testing.assert_allclose(*(errors[:-2, -1] for errors in own), rtol=0.1)


def check_many_devices(names):
    """Every mesh follows one device, and the log makes the same bits."""
    assert len(names["devices"]) == 8
    assert_falls(names["losses"], 0.2)
    one = names["losses"]["one device"]
    for values in names["losses"].values():
        np.testing.assert_allclose(values, one, rtol=1e-3)
    assert names["same_bits"]
    assert names["same_fingerprint"]


def check_black_box(names):
    """There is no gradient, and both losses fall."""
    assert not any(leaf.any() for leaf in names["jax"].tree.leaves(names["gradient"]))
    assert_falls(names["losses"], 0.3)
    assert names["unseen"] > 3.5
    assert names["after"][1] > 0.85


def assert_falls(losses, share):
    assert losses
    for name, values in losses.items():
        assert values[-1] < share * values[0], (name, values[0], values[-1])


CHECKS = {
    "01_first_steps": check_first_steps,
    "02_finetune_a_checkpoint": check_finetune_a_checkpoint,
    "03_your_own_method": check_your_own_method,
    "04_many_devices": check_many_devices,
    "05_black_box": check_black_box,
}

if __name__ == "__main__":
    source = Path(sys.argv[1])
    CHECKS[source.stem](runpy.run_path(str(source)))
