"""Replicas that differ by a bit are found."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "diverging_replicas.py"


def test_a_flipped_bit_on_one_of_four_devices_is_seen():
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(SCRIPT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
