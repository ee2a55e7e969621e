"""A model is loaded over a mesh, each device's block for itself."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from jax.sharding import PartitionSpec as P
from stored_checkpoints import FIXTURES

from zojax.models import from_pretrained

SCRIPT = Path(__file__).parent / "sharded_loading.py"


def mesh():
    return jax.make_mesh((1,), ("model",), axis_types=(jax.sharding.AxisType.Auto,))


def test_eight_devices_hold_the_model_and_read_no_more_than_they_hold():
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(SCRIPT), str(FIXTURES / "pre_norm")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rules": [("fc1.kernel", P())]},
            "rules say how to shard over a mesh; give mesh= as well",
        ),
        ({"rules": [("fc9.kernel", P())], "mesh": mesh}, "rule 'fc9.kernel' matches no parameter"),
        (
            {"rules": [("fc1.bias", P(None, None, "model"))], "mesh": mesh},
            r"the rule for layers\.fc1\.bias, of shape \(2, 24\), does not fit it",
        ),
        (
            {"rules": [("fc1.bias", P("data"))], "mesh": mesh},
            r"the rule for layers\.fc1\.bias.* does not fit it",
        ),
    ],
)
def test_rules_that_fit_nothing_are_named(options, message):
    if "mesh" in options:
        options = options | {"mesh": options["mesh"]()}
    with pytest.raises(ValueError, match=message):
        from_pretrained(FIXTURES / "pre_norm", **options)
